"""Losses of MobileInst, in SparseInst's exact forms (docs/spec.md: Losses and matching)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from weights_tools.training.matcher import DICE_EPSILON, match

_ALPHA = 0.25
_MASK_THRESHOLD = 0.4
_IOU_EPSILON = 1e-6
#: Samples along each side of a box.
_GRID = 64


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms. The paper says 2 for the mask; SparseInst's code has dice 2 and BCE 5.

    ``boxes`` is for masks of which only the box is known, ``places`` for the places that queries begin at,
    ``kept`` for what a detector of before says of them (:mod:`~weights_tools.training.detection`; ours).
    """

    classification: float = 2.0
    dice: float = 2.0
    bce: float = 2.0
    objectness: float = 1.0
    boxes: float = 1.0
    places: float = 0.0
    kept: float = 0.0


@dataclass(frozen=True)
class Targets:
    """Objects of a batch at the resolution of the mask losses.

    Attributes:
        labels: B tensors int64 (n_b,).
        masks: B tensors float (n_b, h, w), 0 to 1.
        negative: float (B, classes), weight of the absence of each class for unmatched queries; None for 1.
        ignore: float (B, h, w), regions where unmatched queries learn nothing; None for none.
        exact: B tensors bool (n_b,), whether the mask is known; if not, it is the object's box. None for all.
        weights: B tensors float (n_b,), how sure each object is; None for 1.
    """

    labels: Sequence[Tensor]
    masks: Sequence[Tensor]
    negative: Tensor | None = None
    ignore: Tensor | None = None
    exact: Sequence[Tensor] | None = None
    weights: Sequence[Tensor] | None = None

    @property
    def count(self) -> int:
        """Objects in the batch."""
        return sum(int(labels.shape[0]) for labels in self.labels)


@dataclass(frozen=True)
class Assignment:
    """Matched pairs of a whole batch: image, query and object index, int64 (K,) each."""

    image: Tensor
    query: Tensor
    target: Tensor

    def target_masks(self, targets: Targets) -> Tensor:
        """Masks (K, h, w) of the matched objects."""
        parts = [targets.masks[b][self.target[self.image == b]] for b in range(len(targets.masks))]
        return torch.cat(parts)

    def target_labels(self, targets: Targets) -> Tensor:
        """Labels (K,) of the matched objects."""
        parts = [targets.labels[b][self.target[self.image == b]] for b in range(len(targets.labels))]
        return torch.cat(parts)


@dataclass(frozen=True)
class Masks:
    """Mask logits of a batch's queries.

    Attributes:
        all: (B, N, h, w), of every query, for comparison.
        learned: Gives those of some pairs, (K, H, W), through which gradients flow; those of ``all`` if None.
    """

    all: Tensor
    learned: Callable[[Assignment], Tensor] | None = None

    def of(self, pairs: Assignment) -> Tensor:
        """Mask logits (K, H, W), float32, of pairs that are in the order of their images."""
        if self.learned is not None:
            return self.learned(pairs).float()
        return self.all[pairs.image, pairs.query].float()


@torch.no_grad()
def assign(class_logits: Tensor, mask_logits: Tensor, targets: Targets, copies: int = 1) -> Assignment:
    """Match every image of a batch; logits as in :func:`instance_losses`."""
    size = tuple(targets.masks[0].shape[1:])
    pairs = [
        match(class_logits[b], fit_logits(mask_logits[b], size), targets.labels[b], targets.masks[b], copies)
        for b in range(len(targets.labels))
    ]
    images = [torch.full_like(query, b) for b, (query, _) in enumerate(pairs)]
    return Assignment(torch.cat(images), torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs]))


def focal_loss(logits: Tensor, positive: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sigmoid focal loss, alpha 0.25, gamma 2, summed over everything; ``positive`` is 0 or 1."""
    probability = logits.sigmoid()
    error = F.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    wrong = probability + positive - 2 * probability * positive
    loss = error * wrong.square() * (1 - _ALPHA + (2 * _ALPHA - 1) * positive)
    return (loss if weight is None else loss * weight).sum()


def class_weights(
    mask_logits: Tensor,
    assignment: Assignment,
    targets: Targets,
    classes: int,
    spared: Assignment | None = None,
    known: Tensor | None = None,
) -> Tensor | None:
    """Weight (B, N, classes) of every class logit, or None where all are 1.

    Matched queries learn every class. Unmatched ones learn the absence of the labelled classes only, and
    nothing if most of their mask lies in an ignored region (our rule for incompletely labelled images), or if
    they are ``spared``: further queries that see an object, of which suppression keeps the best. What is
    ``known`` without labels weakens it.
    """
    given = (targets.negative, targets.ignore, targets.weights, spared, known)
    if all(x is None for x in given):
        return None
    shape = (*mask_logits.shape[:2], classes)
    weight = mask_logits.new_ones(shape, dtype=torch.float32)
    if targets.negative is not None:
        weight = weight * targets.negative[:, None, :]
    if known is not None:
        weight = weight * (1.0 - known)
    if targets.ignore is not None and bool(targets.ignore.any()):
        inside = (mask_logits.detach() > 0).flatten(2).float()
        ignore = fit_logits(targets.ignore, tuple(mask_logits.shape[2:]))
        share = torch.einsum("bnp,bp->bn", inside, ignore.flatten(1)) / inside.sum(2).clamp(min=1.0)
        weight = weight * (share < 0.5)[..., None]
    if spared is not None:
        weight[spared.image, spared.query] = 0.0
    weight[assignment.image, assignment.query] = 1.0
    if targets.weights is not None and assignment.image.shape[0]:
        sure = torch.cat([w[assignment.target[assignment.image == b]] for b, w in enumerate(targets.weights)])
        weight[assignment.image, assignment.query] = sure[:, None]
    return weight


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Sum over masks (K, h, w) of 1 - dice."""
    probability, target = logits.sigmoid().flatten(1), masks.flatten(1)
    squares = probability.square().sum(1) + target.square().sum(1)
    return (1.0 - 2.0 * (probability * target).sum(1) / (squares + DICE_EPSILON)).sum()


@torch.no_grad()
def mask_iou(logits: Tensor, masks: Tensor, share: Tensor | None = None) -> Tensor:
    """IoU (K,) of predicted masks (probability >= 0.4) with targets (> 0.5), both (K, h, w).

    ``share`` (K,) is how much of the targets' area is in view; None for all of it.
    """
    found = (logits.sigmoid() >= _MASK_THRESHOLD).flatten(1)
    truth = (masks > 0.5).flatten(1)
    inter, union = (found & truth).sum(1), (found | truth).sum(1)
    if share is not None:
        seen = truth.sum(1)
        union = union + seen / share.clamp(min=0.05) - seen
    return inter / (union + _IOU_EPSILON)


def in_boxes(logits: Tensor, masks: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mask logits (K, h, w) and targets (K, H, W), bilinear, on a grid of :data:`_GRID` over each box (K, 4).

    So small objects are learned as finely as large ones (as RoI heads do, arXiv 1703.06870). Targets become 0
    or 1.

    Returns:
        Logits and targets (K, _GRID, _GRID), and the share (K,) of the targets' area that is in the boxes.
    """
    steps = (torch.arange(_GRID, device=boxes.device) + 0.5) / _GRID
    x = boxes[:, 0, None] + (boxes[:, 2] - boxes[:, 0])[:, None] * steps
    y = boxes[:, 1, None] + (boxes[:, 3] - boxes[:, 1])[:, None] * steps
    grid = torch.stack([x[:, None, :].expand(-1, _GRID, -1), y[:, :, None].expand(-1, -1, _GRID)], 3) * 2 - 1
    if not len(boxes):
        empty = logits.sum() + logits.new_zeros((0, _GRID, _GRID))
        return empty, empty, logits.new_zeros(0)

    def sampled(maps: Tensor, padding: str) -> Tensor:
        found = F.grid_sample(maps[:, None], grid, padding_mode=padding, align_corners=False)
        return found[:, 0]

    truth = (sampled(masks, "zeros") > 0.5).float()
    sides = boxes[:, 2:] - boxes[:, :2]
    inside = truth.mean((1, 2)) * sides.prod(1)
    return sampled(logits, "border"), truth, (inside / masks.mean((1, 2)).clamp(min=1e-9)).clamp(max=1.0)


def instance_losses(
    class_logits: Tensor,
    objectness_logits: Tensor,
    found: Masks,
    targets: Targets,
    weights: LossWeights,
    *,
    objects: float,
    assignment: Assignment,
    near: Assignment | None = None,
    spared: Assignment | None = None,
    boxes: Tensor | None = None,
    known: Tensor | None = None,
) -> dict[str, Tensor]:
    """Weighted losses of one set of predictions.

    Args:
        class_logits: (B, N, classes).
        objectness_logits: (B, N).
        found: Masks, resized to the targets' resolution as SparseInst does (stride 8 to 4).
        objects: Number of objects that sums are divided by (mean over processes, at least 1).
        assignment: From :func:`assign`; may be empty.
        near: Pairs that learn masks and objectness, if not those of the assignment; all with known masks.
        spared: Pairs whose queries learn no absence of classes.
        boxes: (B, N, 4), shares of the sides, at which masks end; each is learned on a grid over its box.
        known: (B, N, classes), 0 to 1: how sure it is without labels that a query sees a class; unmatched
            queries learn its absence by so much less.

    Returns:
        ``class``, ``dice``, ``bce``, ``objectness``: scalars; the last three are 0 without objects.
    """
    class_logits, objectness_logits = class_logits.float(), objectness_logits.float()
    positive = torch.zeros_like(class_logits)
    labels = assignment.target_labels(targets)
    positive[assignment.image, assignment.query, labels] = 1.0
    weight = class_weights(found.all, assignment, targets, class_logits.shape[2], spared, known)
    losses = {"class": weights.classification * focal_loss(class_logits, positive, weight) / objects}
    if near is not None:
        assignment, objects = near, max(float(near.image.shape[0]), 1.0)
    masks = assignment.target_masks(targets).float()
    picked = found.of(assignment)
    share = None
    if boxes is None:
        picked = fit_logits(picked, tuple(masks.shape[1:]))
    else:
        picked, masks, share = in_boxes(picked, masks, boxes[assignment.image, assignment.query])
    losses.update(mask_losses(picked, masks, weights, objects=objects))
    if picked.shape[0]:
        iou = mask_iou(picked, masks, share)
        score = objectness_logits[assignment.image, assignment.query]
        losses["objectness"] = weights.objectness * F.binary_cross_entropy_with_logits(score, iou)
    else:
        losses["objectness"] = objectness_logits.sum() * 0.0
    return losses


def mask_losses(logits: Tensor, masks: Tensor, weights: LossWeights, *, objects: float) -> dict[str, Tensor]:
    """Dice and BCE of matched masks (K, h, w), also those of passed queries; 0 if there are none."""
    if logits.shape[0] == 0:
        zero = logits.sum() * 0.0
        return {"dice": zero, "bce": zero}
    bce = F.binary_cross_entropy_with_logits(logits, masks)
    return {"dice": weights.dice * dice_loss(logits, masks) / objects, "bce": weights.bce * bce}


def fit_logits(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Mask logits (K, h, w) at another resolution, bilinear."""
    if tuple(logits.shape[1:]) == size or logits.shape[0] == 0:
        return logits.new_zeros((0, *size)) + logits.sum() if logits.shape[0] == 0 else logits
    return F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
