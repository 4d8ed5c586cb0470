"""Learning with boxes: matching of queries that began as places, and masks of which only the box is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from mobileinst.network import selection
from weights_tools.training.losses import Assignment, Targets, fit_logits
from weights_tools.training.matcher import DICE_EPSILON, dice_scores

#: Share of the boxes' overlap in how well a query fits an object; the rest is the masks' dice.
_BOX_SHARE = 0.7
#: Fits below are no match: no query is moved to an object that it doesn't see.
_LEAST_FIT = 0.2
#: Further queries learn an object's mask where their boxes overlap its by more.
_NEAR = 0.5
#: Neighbours (y, x) whose colors are compared with a pixel's, at the masks' resolution, as arXiv 2012.02310.
_NEIGHBOURS = ((0, 2), (2, 0), (2, 2), (2, -2))
#: Colors nearer than this, in standard deviations of the batch, ask for the same label.
_ALIKE = 0.1


def target_boxes(masks: Tensor) -> Tensor:
    """Boxes (n, 4) of masks (n, h, w): left, top, right, bottom as shares of the sides."""
    edges = []
    for axis in (1, 2):  # columns, then rows
        inside = masks.amax(axis) > 0.3
        inside |= masks.amax(axis) >= masks.amax((1, 2))[:, None]
        count = inside.shape[1]
        first = inside.float().argmax(1)
        last = count - inside.flip(1).float().argmax(1)
        edges.append((first / count, last / count))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], 1)


def query_boxes(places: Tensor) -> Tensor:
    """Boxes (..., 4), as :func:`target_boxes`, of the tokens of selected places."""
    offset = places.shape[-1] - selection.BOX_CHANNELS - selection.WINDOW_CHANNELS
    centre, extent = places[..., offset : offset + 2], places[..., offset + 2 : offset + 4]
    half = extent.float().clamp(-20.0, 20.0).exp() / 2
    return torch.cat([centre - half, centre + half], -1).clamp(0.0, 1.0)


def class_scores(places: Tensor, classes: int) -> Tensor:
    """Scores (..., classes) in the tokens of selected places."""
    end = places.shape[-1] - selection.BOX_CHANNELS - selection.WINDOW_CHANNELS
    return places[..., end - classes : end].sigmoid()


def box_overlaps(a: Tensor, b: Tensor) -> Tensor:
    """IoU (n, m) of boxes (n, 4) and (m, 4)."""
    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    inter = sides.clamp(min=0.0).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).clamp(min=0.0).prod(1) for x in (a, b)]
    return inter / (areas[0][:, None] + areas[1][None] - inter + 1e-9)


@torch.no_grad()
def assign_by_boxes(
    places: Tensor, class_logits: Tensor, mask_logits: Tensor, targets: Targets
) -> tuple[Assignment, Assignment]:
    """Match queries that began as places, by boxes, masks and classes.

    Args:
        places: (B, N, C).
        mask_logits: (B, N, h, w); targets are compared at their resolution.

    Returns:
        One query for each object, where any fits; and pairs that may learn a mask: the same and all whose
        boxes overlap by half.
    """
    boxes = query_boxes(places)
    matched: list[tuple[int, int, int]] = []
    near: list[tuple[int, int, int]] = []
    for b, (labels, masks) in enumerate(zip(targets.labels, targets.masks, strict=True)):
        if labels.shape[0] == 0:
            continue
        overlap = box_overlaps(boxes[b], target_boxes(masks))
        size = (int(mask_logits.shape[2]), int(mask_logits.shape[3]))
        small = F.adaptive_avg_pool2d(masks[None].float(), size)[0].flatten(1)
        dice = dice_scores(mask_logits[b].float().sigmoid().flatten(1), small)
        known = _known(targets, b)
        dice = torch.where(known[None], dice, overlap)
        fit = _BOX_SHARE * overlap + (1.0 - _BOX_SHARE) * dice
        score = (fit * class_logits[b].float().sigmoid()[:, labels]).sqrt()
        score = torch.where(fit >= _LEAST_FIT, score, torch.zeros_like(score))
        worth = np.nan_to_num(score.cpu().numpy())
        queries, objects = linear_sum_assignment(worth, maximize=True)
        pairs = {int(q): int(o) for q, o in zip(queries, objects, strict=True) if worth[q, o] > 0}
        matched += [(b, q, o) for q, o in sorted(pairs.items())]
        best, which = overlap.max(1)
        for q in (best > _NEAR).nonzero().flatten().tolist():
            pairs.setdefault(q, int(which[q]))
        near += [(b, q, o) for q, o in sorted(pairs.items())]
    return _assignment(matched, places.device), _assignment(near, places.device)


def _known(targets: Targets, image: int) -> Tensor:
    """Which objects of an image have a known mask."""
    if targets.exact is None:
        return torch.ones_like(targets.labels[image], dtype=torch.bool)
    return targets.exact[image]


def _assignment(pairs: Sequence[tuple[int, int, int]], device: torch.device) -> Assignment:
    table = torch.tensor(pairs, dtype=torch.int64, device=device).reshape(-1, 3)
    return Assignment(table[:, 0], table[:, 1], table[:, 2])


def projection_loss(logits: Tensor, boxes: Tensor) -> Tensor:
    """Sum over masks (K, h, w) of 1 - dice of projections on both axes with boxes' (arXiv 2012.02310)."""
    probability = logits.sigmoid()
    total = logits.sum() * 0.0
    for axis in (1, 2):
        ours, theirs = probability.amax(axis), boxes.amax(axis)
        squares = ours.square().sum(1) + theirs.square().sum(1)
        total = total + (1.0 - 2.0 * (ours * theirs).sum(1) / (squares + DICE_EPSILON)).sum()
    return total


def similar_neighbours(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Which neighbours look alike: float (B, 4, h, w) of 0 and 1, for the offsets of this module."""
    small = F.adaptive_avg_pool2d(images.float(), size)
    small = small / small.std().clamp(min=1e-6)
    maps = [(small - _shifted(small, *offset)).norm(dim=1) < _ALIKE for offset in _NEIGHBOURS]
    return torch.stack(maps, 1).float()


def _shifted(x: Tensor, dy: int, dx: int) -> Tensor:
    """The values at (y + dy, x + dx); beyond the border those of the border."""
    padded = F.pad(x, (max(-dx, 0), max(dx, 0), 0, dy), mode="replicate")
    start = max(-dx, 0) + dx
    return padded[..., dy : dy + x.shape[-2], start : start + x.shape[-1]]


def pairwise_loss(logits: Tensor, boxes: Tensor, alike: Tensor) -> Tensor:
    """Sum over masks (K, h, w) of how alike neighbours (K, 4, h, w) in their boxes disagree on average."""
    inside = F.logsigmoid(logits)
    outside = F.logsigmoid(-logits)
    total = logits.sum() * 0.0
    weight_sum = logits.new_zeros(logits.shape[0])
    error_sum = logits.new_zeros(logits.shape[0])
    for index, offset in enumerate(_NEIGHBOURS):
        both = inside + _shifted(inside[None], *offset)[0]
        none = outside + _shifted(outside[None], *offset)[0]
        weight = alike[:, index] * boxes
        error_sum = error_sum - (torch.logaddexp(both, none) * weight).sum((1, 2))
        weight_sum = weight_sum + weight.sum((1, 2))
    return total + (error_sum / weight_sum.clamp(min=1.0)).sum()


def box_mask_losses(logits: Tensor, boxes: Tensor, weights: Tensor, alike: Tensor) -> Tensor:
    """Weighted sum of both losses of masks (K, h, w) of which only boxes are known."""
    total = logits.sum() * 0.0
    for k in range(logits.shape[0]):
        one = fit_logits(logits[k : k + 1], tuple(boxes.shape[1:]))
        part = projection_loss(one, boxes[k : k + 1]) + pairwise_loss(one, boxes[k : k + 1], alike[k : k + 1])
        total = total + weights[k] * part
    return total
