"""Learning of the places that queries begin at: a detector's dense loss (YOLOX, arXiv 2107.08430).

Places are matched by simplified optimal transport (SimOTA, same source): an object takes the places near its
middle whose boxes and classes fit it best, as many as their overlaps add up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mobileinst.network.backbones.features import Places
from weights_tools.training.boxes import box_overlaps, target_boxes
from weights_tools.training.losses import Targets

#: Places within so many strides of an object's middle may be matched, besides those in its box.
_REACH = 2.5
#: Overlaps of so many places say how many places an object takes.
_LARGEST = 10
#: Cost of a place that is in the box or near the middle, but not both.
_FAR = 1e3
_BOX_COST = 3.0
_BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class Dense:
    """All places of all levels as rows.

    Attributes:
        logits: (B, P, classes), of the best kind of each class.
        objectness: (B, P), logits.
        boxes: (B, P, 4): left, top, right, bottom as shares of the sides.
        middles: (P, 2), x and y of each place, and ``strides`` (P, 2), as shares of the sides.
    """

    logits: Tensor
    objectness: Tensor
    boxes: Tensor
    middles: Tensor
    strides: Tensor


def dense(places: Sequence[Places[Tensor]], groups: Sequence[int]) -> Dense:
    """The places of a batch as rows; ``groups``: how many kinds each class has."""

    kinds = _rows(places, "kinds")
    logits = torch.stack([x.amax(2) for x in kinds.split(list(groups), 2)], 2)
    middles, strides = [], []
    for place in places:
        height, width = place.boxes.shape[2:]
        y = (torch.arange(height, device=kinds.device) + 0.5) / height
        x = (torch.arange(width, device=kinds.device) + 0.5) / width
        middles.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), 2).flatten(0, 1))
        strides.append(middles[-1].new_tensor([1.0 / width, 1.0 / height]).expand(height * width, 2))
    objectness = _rows(places, "objectness")[..., 0]
    return Dense(logits, objectness, _corners(places), torch.cat(middles), torch.cat(strides))


def _rows(places: Sequence[Places[Tensor]], name: str) -> Tensor:
    """An output of all places of all levels, (B, P, C)."""
    return torch.cat([getattr(p, name).flatten(2).transpose(1, 2).float() for p in places], 1)


def _corners(places: Sequence[Places[Tensor]]) -> Tensor:
    """Left, top, right, bottom of the boxes of all places, (B, P, 4)."""
    boxes = _rows(places, "boxes")
    half = boxes[..., 2:].clamp(-20.0, 20.0).exp() / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], 2)


@torch.no_grad()
def match_places(found: Dense, image: int, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Places of an image that learn its objects: their indices, the objects' and the overlaps, (K,) each.

    Args:
        boxes: (n, 4) of the objects, labels: int64 (n,).
    """
    middles = found.middles
    inside = (middles[None] > boxes[:, None, :2]).all(2) & (middles[None] < boxes[:, None, 2:]).all(2)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    close = ((middles[None] - centre[:, None]).abs() < _REACH * found.strides[None]).all(2)
    chosen = (inside | close).any(0).nonzero()[:, 0]
    overlap = box_overlaps(boxes, found.boxes[image, chosen])
    score = found.objectness[image, chosen, None].sigmoid() * found.logits[image, chosen].sigmoid()
    wrong = -score.sqrt().clamp(min=1e-6).log()[:, labels].T
    both = (inside & close)[:, chosen]
    cost = wrong - _BOX_COST * overlap.clamp(min=1e-8).log() + _FAR * ~both
    taken = torch.zeros_like(cost, dtype=torch.bool)
    counts = overlap.topk(min(_LARGEST, overlap.shape[1]), 1).values.sum(1).int().clamp(min=1)
    for row, count in enumerate(counts.tolist()):
        taken[row, cost[row].topk(min(count, cost.shape[1]), largest=False).indices] = True
    # a place that several objects want is that of the cheapest
    best = torch.where(taken, cost, torch.inf).argmin(0)
    kept = taken.any(0).nonzero()[:, 0]
    objects = best[kept]
    return chosen[kept], objects, overlap[objects, kept]


def place_losses(
    places: Sequence[Places[Tensor]], groups: Sequence[int], targets: Targets, weight: float
) -> dict[str, Tensor]:
    """Losses ``place``, ``place_class`` and ``place_box`` of all places, each for one matched place.

    Where a class is not labelled, or nothing is known, places that are not matched learn nothing.
    """
    found = dense(places, groups)
    wanted = torch.zeros_like(found.objectness)
    known = _known(found, targets)
    logits, marks, ours, theirs = [], [], [], []
    for b, (labels, masks) in enumerate(zip(targets.labels, targets.masks, strict=True)):
        if labels.shape[0] == 0:
            continue
        boxes = target_boxes(masks)
        rows, objects, overlap = match_places(found, b, boxes, labels)
        wanted[b, rows], known[b, rows] = 1.0, 1.0
        logits.append(found.logits[b, rows])
        marks.append(F.one_hot(labels[objects], found.logits.shape[2]) * overlap[:, None])
        ours.append(found.boxes[b, rows])
        theirs.append(boxes[objects])
    count = max(sum(len(x) for x in logits), 1)
    error = F.binary_cross_entropy_with_logits(found.objectness, wanted, reduction="none") * known
    losses = {"place": error.sum()}
    zero = found.logits.sum() * 0.0
    losses["place_class"] = losses["place_box"] = zero
    if logits:
        losses["place_class"] = F.binary_cross_entropy_with_logits(
            torch.cat(logits), torch.cat(marks), reduction="sum"
        )
        overlap = _paired_overlap(torch.cat(ours), torch.cat(theirs))
        losses["place_box"] = _BOX_WEIGHT * (1.0 - overlap.square()).sum()
    return {name: weight * loss / count for name, loss in losses.items()}


def _paired_overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU (K,) of boxes (K, 4) row by row."""
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    inter = sides.clamp(min=0.0).prod(1)
    areas = [(x[:, 2:] - x[:, :2]).clamp(min=0.0).prod(1) for x in (a, b)]
    return inter / (areas[0] + areas[1] - inter + 1e-9)


def _known(found: Dense, targets: Targets) -> Tensor:
    """Weight (B, P) of the absence of objects at each place."""
    weight = torch.ones_like(found.objectness)
    if targets.negative is not None:
        weight = weight * targets.negative.amin(1)[:, None]
    if targets.ignore is not None and bool(targets.ignore.any()):
        grid = (found.middles * 2.0 - 1.0)[None, None].expand(weight.shape[0], -1, -1, -1)
        hidden = F.grid_sample(targets.ignore[:, None].float(), grid, align_corners=False)[:, 0, 0]
        weight = weight * (hidden < 0.5)
    return weight


def kept_losses(
    places: Sequence[Places[Tensor]], before: Sequence[Places[Tensor]], weight: float
) -> dict[str, Tensor]:
    """Losses ``kept``, ``kept_kind`` and ``kept_box``: how far places are from what they said before.

    Objectness of all places by cross-entropy; kinds and boxes where something was seen, by how sure it was.
    So a trunk that learns masks of few photographs keeps what its detector knows of many.
    """

    seen, kinds = _rows(before, "objectness").sigmoid(), _rows(before, "kinds").sigmoid()
    error = F.binary_cross_entropy_with_logits(_rows(places, "objectness"), seen, reduction="none")
    least = -(torch.xlogy(seen, seen) + torch.xlogy(1.0 - seen, 1.0 - seen))
    kind = F.binary_cross_entropy_with_logits(_rows(places, "kinds"), kinds, reduction="none")
    kind = kind + torch.xlogy(kinds, kinds) + torch.xlogy(1.0 - kinds, 1.0 - kinds)
    score = (seen * kinds.amax(2, keepdim=True))[..., 0]
    overlap = _paired_overlap(_corners(places).flatten(0, 1), _corners(before).flatten(0, 1)).view_as(score)
    moved = _BOX_WEIGHT * (1.0 - overlap.square()) * score
    objects, sure = (x.sum().clamp(min=1.0) for x in (seen, score))
    parts = {"kept": (error - least).sum() / objects, "kept_kind": (kind * seen).sum() / objects}
    parts["kept_box"] = moved.sum() / sure
    return {name: weight * loss for name, loss in parts.items()}
