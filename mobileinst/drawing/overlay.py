"""Overlays in NumPy alone: masks, outlines, boxes and labels in colours that stay with a track."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from ..results import NO_ID, Instances
from .font import render_text

_GOLDEN_RATIO = 0.618034
_Rectangle = tuple[int, int, int, int]


def track_color(track_id: int) -> tuple[int, int, int]:
    """RGB of a track: always the same for an id, far apart for ids that follow each other."""
    red, green, blue = colorsys.hsv_to_rgb(track_id * _GOLDEN_RATIO % 1, 0.8 - 0.25 * (track_id % 2), 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw(
    image: NDArray[np.uint8],
    instances: Instances,
    *,
    masks: bool = True,
    outlines: bool = True,
    boxes: bool = False,
    labels: bool = True,
    opacity: float = 0.4,
) -> NDArray[np.uint8]:
    """A copy of the image with its instances drawn on it.

    Args:
        image: uint8 (H, W, 3), the frame that the instances were found in.
        instances: what to draw; colours follow their ids, or their order where they have none.
        masks: fill masks. outlines: draw their borders. boxes: draw boxes. labels: write id, class and score.
        opacity: of the fill. Up: colours are stronger; down: the image shows better.

    Raises:
        ValueError: if image and instances differ in size, or opacity is not in 0..1.

    Example:
        >>> image = np.zeros((2, 3, 3), np.uint8)
        >>> bool((draw(image, Instances.empty((2, 3))) == image).all())
        True
    """
    instances.check_image(image)
    canvas: NDArray[np.uint8] = image.copy()
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in 0..1, got {opacity}")
    colors = [_color(instances, i) for i in range(len(instances))]
    thickness = max(1, round(min(canvas.shape[:2]) / 320))
    # Large ones first, so that small ones in front of them stay visible.
    for i in np.argsort(-instances.areas, kind="stable"):
        x0, y0, x1, y1 = instances.boxes[i].astype(int)
        region, mask = canvas[y0:y1, x0:x1], instances.mask(i)[y0:y1, x0:x1]
        if masks:
            _blend(region, mask, colors[i], opacity)
        if outlines:
            region[mask & ~_eroded(mask, thickness)] = colors[i]
        if boxes:
            _frame(canvas, (x0, y0, x1, y1), colors[i], thickness)
    if labels:
        _draw_labels(canvas, instances, colors)
    return canvas


def _color(instances: Instances, i: int) -> tuple[int, int, int]:
    return track_color(int(instances.ids[i]) if instances.ids[i] != NO_ID else i + 1)


def _blend(
    region: NDArray[np.uint8], mask: NDArray[np.bool_], color: tuple[int, int, int], opacity: float
) -> None:
    share = round(256 * opacity)
    mixed = region[mask].astype(np.uint16) * (256 - share) + np.array(color, np.uint16) * share
    region[mask] = mixed >> 8


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The mask without its outer `steps` pixels; beyond the region there is nothing."""
    inner = np.pad(mask, 1)
    for _ in range(steps):
        core = inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        inner = np.pad(core, 1)
    return inner[1:-1, 1:-1]


def _frame(canvas: NDArray[np.uint8], box: _Rectangle, color: tuple[int, int, int], thickness: int) -> None:
    x0, y0, x1, y1 = box
    region = canvas[y0:y1, x0:x1]
    region[:thickness] = region[-thickness:] = color
    region[:, :thickness] = region[:, -thickness:] = color


def _draw_labels(canvas: NDArray[np.uint8], instances: Instances, colors: list[tuple[int, int, int]]) -> None:
    scale = max(1, round(min(canvas.shape[:2]) / 320))
    taken: list[_Rectangle] = []
    for i, name in enumerate(instances.names):
        track = f"#{instances.ids[i]} " if instances.ids[i] != NO_ID else ""
        text = np.pad(render_text(f"{track}{name} {instances.scores[i]:.2f}", scale), scale)[:, :-scale]
        place = _place(text.shape, instances.boxes[i], canvas.shape[:2], taken)
        taken.append(place)
        x0, y0, x1, y1 = place
        dark = sum(w * c for w, c in zip((0.3, 0.59, 0.11), colors[i], strict=True)) > 140
        canvas[y0:y1, x0:x1] = colors[i]
        canvas[y0:y1, x0:x1][text[: y1 - y0, : x1 - x0]] = 0 if dark else 255


def _place(
    text: tuple[int, ...], box: NDArray[np.float32], size: tuple[int, ...], taken: list[_Rectangle]
) -> _Rectangle:
    """Above the box if there is room, inside it otherwise; below labels that are there already."""
    height, width = min(text[0], size[0]), min(text[1], size[1])
    x0 = int(np.clip(box[0], 0, size[1] - width))
    y0 = int(np.clip(box[1] - height if box[1] >= height else box[1], 0, size[0] - height))
    for _ in taken:
        below = [t[3] for t in taken if t[0] < x0 + width and x0 < t[2] and t[1] < y0 + height and y0 < t[3]]
        if not below or max(below) + height > size[0]:
            break
        y0 = max(below)
    return x0, y0, x0 + width, y0 + height
