"""Which places of a detector become queries, and what they know (ours).

A place's score is sigmoid(objectness) times that of its best kind. Of the :data:`CANDIDATES` best places,
those whose box overlaps that of a better candidate by more than :data:`OVERLAP` come last (parallel
suppression, YOLACT's fast NMS, arXiv 1904.02689); the first ``count`` of that order are taken.

A token holds, for each level, the tower features of its place and a 1, or zeros for the levels that it is not
of; then the logit of each class (of the score with the class's best kind); then the box: centre, logarithms
of extents, and :func:`~mobileinst.network.position.box_frequencies` of its centre; then :func:`windows`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobileinst.network.position import box_frequencies

CANDIDATES = 300
OVERLAP = 0.65

#: Channels of a box in a token.
BOX_CHANNELS = 20

#: Channels of a window in a token, and of :func:`window_basis` without the 1.
WINDOW_CHANNELS = 5
BASIS_CHANNELS = 4

#: Windows are this much smaller in tokens and kernels, and larger in the basis, so that kernels are compared
#: by the rest of them.
WINDOW_SCALE = 1e-3

#: Mask logit that a window has in its middle.
WINDOW_LOGIT = 2.0

#: In mask logits the half extents of a window are at least so many cells, which is what they can show.
LEAST_CELLS = 1.5

#: Logit of cells that are more than a cell away from a box, where masks end.
OUTSIDE_LOGIT = -8.0

#: Half extents of a window, as shares of the image's sides, are at least this.
LEAST_HALF = 0.01

#: Probabilities are kept this far from 0 and 1.
MARGIN = 1e-4

Array = NDArray[np.float32]


def token_channels(levels: int, features: int, classes: int) -> int:
    """Channels of a token."""
    return levels * (features + 1) + classes + BOX_CHANNELS + WINDOW_CHANNELS


def class_offset(levels: int, features: int) -> int:
    """Where the class logits begin in a token."""
    return levels * (features + 1)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return (1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))).astype(np.float32)


def overlaps(boxes: Array) -> Array:
    """IoU (N, N) of boxes (N, 4): centre x, y and logarithms of width and height."""
    half = np.exp(np.clip(boxes[:, 2:], -20.0, 20.0)) / 2
    low, high = boxes[:, :2] - half, boxes[:, :2] + half
    sides = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    inter = np.maximum(sides, 0).prod(2)
    area = (high - low).prod(1)
    return np.asarray(inter / (area[:, None] + area[None] - inter + 1e-9), np.float32)


def suppressed(boxes: Array) -> NDArray[np.bool_]:
    """Which of boxes (N, 4), best first, overlap a better one."""
    return np.asarray(np.triu(overlaps(boxes) > OVERLAP, 1).any(0))


def windows(boxes: Array) -> Array:
    """How a box (N, 4) rates pixels: products of these rows (N, 5) with a pixel's basis and 1.

    WINDOW_LOGIT * (1 - dx^2 - dy^2), where dx and dy are distances from the centre in half extents: 0 on
    the ellipse within the box, positive inside and far below 0 elsewhere.
    """
    half = np.maximum(np.exp(np.clip(boxes[:, 2:], -20.0, 20.0)) / 2, LEAST_HALF)
    steep = 1.0 / np.square(half)
    centre = boxes[:, :2] - 0.5
    middle = 1.0 - (np.square(centre) * steep).sum(1, keepdims=True)
    out = np.concatenate([2.0 * centre * steep, -steep, middle], 1)
    return np.asarray(out * (WINDOW_LOGIT * WINDOW_SCALE), np.float32)


def window_basis(size: tuple[int, int]) -> Array:
    """x, y, x^2 and y^2 of each pixel's middle, from the image's, as shares of the sides: (h, w, 4)."""
    y = (np.arange(size[0]) + 0.5) / size[0] - 0.5
    x = (np.arange(size[1]) + 0.5) / size[1] - 0.5
    plane = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), -1)
    return np.concatenate([plane, np.square(plane)], 2).astype(np.float32)


def kernel_boxes(kernels: Array) -> Array:
    """Boxes (N, 4), left, top, right and bottom as shares of the sides, that kernels (N, D) begin with."""
    windows = kernels[:, :BASIS_CHANNELS] / np.float32(WINDOW_LOGIT * WINDOW_SCALE)
    half = 1.0 / np.sqrt(np.maximum(-windows[:, 2:], 1e-6))
    centre = windows[:, :2] * np.square(half) / 2 + 0.5
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def grown(boxes: Array, margin: float) -> Array:
    """Boxes (N, 4) whose sides are longer by so large a share at either end."""
    room = (boxes[:, 2:] - boxes[:, :2]) * np.float32(margin)
    return np.concatenate([boxes[:, :2] - room, boxes[:, 2:] + room], 1)


def add_windows(product: Array, boxes: Array, margin: float = 0.0) -> Array:
    """Mask logits (N, h, w) of the product of features with kernels whose windows are left out.

    The windows of boxes (N, 4) are added, and cells beyond are :data:`OUTSIDE_LOGIT`. A mask ends at its
    :func:`grown` box where its pixels are found; here more than a cell further, which no pixel in it sees.
    """
    half, centre = (boxes[:, 2:] - boxes[:, :2]) / 2, (boxes[:, 2:] + boxes[:, :2]) / 2
    parts, firsts, ends = [], [], []
    for axis, count in ((0, product.shape[2]), (1, product.shape[1])):
        middles = (np.arange(count, dtype=np.float32) + 0.5) / count
        distance = np.abs(middles - centre[:, axis : axis + 1])
        extent = half[:, axis : axis + 1]
        parts.append(np.square(distance / np.maximum(extent, LEAST_CELLS / count)))
        near = distance <= extent * (1.0 + 2.0 * margin) + 1.0 / count
        firsts.append(near.argmax(1))
        ends.append(firsts[-1] + near.sum(1))
    out = np.full(product.shape, OUTSIDE_LOGIT, np.float32)
    # Most boxes are much smaller than the map.
    for n, (x0, x1, y0, y1) in enumerate(zip(firsts[0], ends[0], firsts[1], ends[1], strict=True)):
        window = WINDOW_LOGIT * (1.0 - parts[1][n, y0:y1, None] - parts[0][n, None, x0:x1])
        np.add(product[n, y0:y1, x0:x1], window, out=out[n, y0:y1, x0:x1], casting="same_kind")
    return out


def windowed_logits(kernels: Array, mask_features: Array, margin: float = 0.0) -> Array:
    """Mask logits (N, h, w) of kernels (N, D) that begin with windows, and mask features (D, h, w)."""
    first = WINDOW_CHANNELS
    product = np.tensordot(kernels[:, first:], mask_features[first:], 1)
    return add_windows(product, kernel_boxes(kernels), margin)


def empty_rows(count: int, levels: int, features: int, classes: int) -> Array:
    """Tokens (count, channels) of no place: nothing but the least score and the least window."""
    out = np.zeros((count, token_channels(levels, features, classes)), np.float32)
    first = class_offset(levels, features)
    out[:, first : first + classes] = np.log(MARGIN / (1.0 - MARGIN))
    least = np.log(2.0 * LEAST_HALF)
    out[:, -WINDOW_CHANNELS:] = windows(np.array([[0.5, 0.5, least, least]], np.float32))
    return out


def select(
    kinds: Sequence[Array],
    objectness: Sequence[Array],
    boxes: Sequence[Array],
    features: Sequence[Array],
    groups: Sequence[int],
    count: int,
) -> Array:
    """Tokens (count, channels) of the best places.

    Args:
        kinds, objectness, boxes, features: For each level (n, K), (n,), (n, 4) and (n, F).
        groups: How many of the K kinds belong to each class.

    Returns:
        float32; where there are fewer than ``count`` places, :func:`empty_rows` follow.
    """
    starts = np.concatenate([[0], np.cumsum(groups)[:-1]]).astype(np.int64)
    best = np.maximum.reduceat(np.concatenate(list(kinds)), starts, axis=1)
    scores = sigmoid(np.concatenate(list(objectness)))[:, None] * sigmoid(best)
    top = scores.max(1)
    order = np.argsort(-top, kind="stable")[:CANDIDATES]
    box = np.concatenate(list(boxes))
    late = suppressed(box[order])
    order = order[np.argsort(late, kind="stable")][:count]
    level_of = np.repeat(np.arange(len(features)), [len(f) for f in features])
    firsts = np.concatenate([[0], np.cumsum([len(f) for f in features])])
    width = features[0].shape[1] + 1
    out = empty_rows(count, len(features), width - 1, len(groups))
    for row, place in enumerate(order):
        level = int(level_of[place])
        start = level * width
        out[row, start : start + width - 1] = features[level][place - firsts[level]]
        out[row, start + width - 1] = 1.0
    offset = len(features) * width
    chosen = np.clip(scores[order], MARGIN, 1.0 - MARGIN)
    out[: len(order), offset : offset + len(groups)] = np.log(chosen / (1.0 - chosen))
    offset += len(groups)
    out[: len(order), offset : offset + 4] = box[order]
    out[: len(order), offset + 4 : offset + BOX_CHANNELS] = box_frequencies(box[order, :2])
    out[: len(order), offset + BOX_CHANNELS :] = windows(box[order])
    return out
