"""Losses and layers used in training only; none of their parameters is exported (our choice)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weights_tools.training.losses import Targets


@dataclass(frozen=True)
class AuxiliaryWeights:
    """Weights of the training aids; 0 switches one off.

    Attributes:
        early_heads: Heads applied after the global decoder too.
        copies: Queries matched to each object there.
        semantic: Dense classification of the mask features.
        centre: Regression of each pixel's instance centre and extent from the mask features.
    """

    early_heads: float = 0.0
    copies: int = 3
    semantic: float = 0.0
    centre: float = 0.0


class AuxiliaryHeads(nn.Module):
    """Linear read-outs of the mask features: classes per pixel, centre and extent of the pixel's instance."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.semantic = nn.Conv2d(channels, classes, 1)
        self.centre = nn.Conv2d(channels, 4, 1)

    def forward(
        self, mask_features: Tensor, targets: Targets, weights: AuxiliaryWeights
    ) -> dict[str, Tensor]:
        """Losses ``semantic`` and ``centre``; targets at the mask features' resolution."""
        losses = {}
        if weights.semantic > 0:
            losses["semantic"] = weights.semantic * semantic_loss(
                self.semantic(mask_features).float(), targets
            )
        if weights.centre > 0:
            losses["centre"] = weights.centre * centre_loss(self.centre(mask_features).float(), targets)
        return losses


def halve_targets(targets: Targets) -> Targets:
    """The objects with known masks at half the resolution (means of 2x2 cells); other boxes are unknown."""

    def half(x: Tensor) -> Tensor:
        return F.avg_pool2d(x[:, None], 2)[:, 0] if x.shape[0] else x[:, ::2, ::2]

    ignore = None if targets.ignore is None else half(targets.ignore)
    masks = [half(m) for m in targets.masks]
    if targets.exact is None:
        return Targets(targets.labels, masks, targets.negative, ignore)
    boxes = [m[~e].amax(0) if bool((~e).any()) else None for m, e in zip(masks, targets.exact, strict=True)]
    if ignore is not None:
        ignore = torch.stack(
            [i if b is None else torch.maximum(i, b) for i, b in zip(ignore, boxes, strict=True)]
        )
    labels = [x[e] for x, e in zip(targets.labels, targets.exact, strict=True)]
    return Targets(
        labels, [m[e] for m, e in zip(masks, targets.exact, strict=True)], targets.negative, ignore
    )


def semantic_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Per-pixel BCE and dice of the union of each class's objects.

    A class that is not labelled in an image is learned only where some object is marked.
    """
    truth = torch.zeros_like(logits)
    for b, (labels, masks) in enumerate(zip(targets.labels, targets.masks, strict=True)):
        for label in labels.unique().tolist():
            truth[b, label] = masks[labels == label].amax(0)
    known = truth.amax(1, keepdim=True)
    weight = torch.ones_like(truth)
    if targets.negative is not None:
        weight = torch.maximum(targets.negative[:, :, None, None].expand_as(truth), known)
    if targets.ignore is not None:
        weight = weight * torch.maximum(1.0 - targets.ignore[:, None], known)
    error = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight
    probability = logits.sigmoid()
    overlap = 2.0 * (probability * truth * weight).sum((2, 3))
    squares = ((probability.square() + truth.square()) * weight).sum((2, 3))
    present = (truth.amax((2, 3)) > 0.5).float()
    dice = ((1.0 - overlap / (squares + 1.0)) * present).sum() / present.sum().clamp(min=1.0)
    return error.sum() / weight.sum().clamp(min=1.0) * 2.0 + dice


def centre_loss(prediction: Tensor, targets: Targets) -> Tensor:
    """L1 of centre (x, y) and log extent of the instance at each of its pixels, averaged per instance."""
    height, width = prediction.shape[2:]
    ys = torch.linspace(-1.0, 1.0, height, device=prediction.device)
    xs = torch.linspace(-1.0, 1.0, width, device=prediction.device)
    total, count = prediction.sum() * 0.0, 0
    for b, masks in enumerate(targets.masks):
        inside = (masks > 0.5).float()
        area = inside.sum((1, 2))
        keep = area >= 2
        if not bool(keep.any()):
            continue
        inside, area = inside[keep], area[keep]
        cx = (inside.sum(1) * xs).sum(1) / area
        cy = (inside.sum(2) * ys).sum(1) / area
        sx = ((inside.sum(1) * xs.square()).sum(1) / area - cx.square()).clamp(min=1e-4)
        sy = ((inside.sum(2) * ys.square()).sum(1) / area - cy.square()).clamp(min=1e-4)
        truth = torch.stack([cx, cy, 0.25 * sx.log(), 0.25 * sy.log()], 1)
        error = (prediction[b][None] - truth[:, :, None, None]).abs().sum(1)
        total = total + ((error * inside).sum((1, 2)) / area).sum()
        count += int(keep.sum())
    return total / max(count, 1)
