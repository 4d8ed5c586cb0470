"""The training loss of one batch: instance losses, query passing, and the training-only aids."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobileinst.network import Features
from mobileinst.network.backbones.features import Places
from mobileinst.network.instance_decoder import Queries
from mobileinst.network.selection import WINDOW_CHANNELS
from weights_tools.torch_ops import MobileInst, kernel_boxes, mask_product
from weights_tools.training.auxiliary import AuxiliaryHeads, AuxiliaryWeights, halve_targets
from weights_tools.training.boxes import assign_by_boxes, box_mask_losses, class_scores, similar_neighbours
from weights_tools.training.data import Batch
from weights_tools.training.detection import kept_losses, place_losses
from weights_tools.training.losses import (
    Assignment,
    LossWeights,
    Masks,
    Targets,
    assign,
    fit_logits,
    in_boxes,
    instance_losses,
    mask_iou,
    mask_losses,
)
from weights_tools.training.temporal import TemporalConfig

#: Most masks per batch that learn from boxes.
_MOST_BOXES = 24


def split_exact(pairs: Assignment, targets: Targets) -> tuple[Assignment, Assignment]:
    """Pairs whose object's mask is known, and those of which only the box is."""
    if targets.exact is None or not pairs.image.shape[0]:
        return pairs, Assignment(pairs.image[:0], pairs.query[:0], pairs.target[:0])
    known = torch.cat([exact[pairs.target[pairs.image == b]] for b, exact in enumerate(targets.exact)])
    parts = [Assignment(pairs.image[m], pairs.query[m], pairs.target[m]) for m in (known, ~known)]
    return parts[0], parts[1]


def at_stride_8(model: MobileInst, mask_map: Tensor) -> Tensor:
    """A mask map (B, C, h, w), averaged where it is finer than stride 8."""
    return F.avg_pool2d(mask_map, 2, ceil_mode=True) if model.config.mask_stride == 4 else mask_map


def query_masks(model: MobileInst, kernels: Tensor, mask_map: Tensor) -> Masks:
    """Masks of a batch: all of them at stride 8, without gradients; those that learn as fine as they are."""

    def learned(pairs: Assignment) -> Tensor:
        parts = [kernels.new_zeros((0, *mask_map.shape[2:]), dtype=torch.float32)]
        for b in range(kernels.shape[0]):
            rows = kernels[b : b + 1, pairs.query[pairs.image == b]]
            parts.append(model.map_logits(rows, mask_map[b : b + 1])[0])
        return torch.cat(parts)

    with torch.no_grad():
        return Masks(model.map_logits(kernels, at_stride_8(model, mask_map)), learned)


class Objective(nn.Module):
    """Losses of a batch; holds the parameters that are used in training only."""

    def __init__(
        self,
        model: MobileInst,
        losses: LossWeights,
        auxiliary: AuxiliaryWeights,
        temporal: TemporalConfig | None = None,
    ) -> None:
        super().__init__()
        self.losses = losses
        self.auxiliary = auxiliary
        self.temporal = temporal or TemporalConfig()
        # in a list, so that it is no part of checkpoints
        self._detector = [copy.deepcopy(model).requires_grad_(False).eval()] if losses.kept > 0 else []
        self.basis = WINDOW_CHANNELS if model.config.query_source == "places" else 0
        self.heads = AuxiliaryHeads(model.config.kernel_dim - self.basis, model.config.classes)

    def forward(
        self, model: MobileInst, batch: Batch, objects: float
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Losses by name (their sum is minimised) and measures for the log.

        Args:
            objects: Mean number of objects over the processes, at least 1.
        """
        sharp = batch.images if batch.sharp is None else batch.sharp
        targets = Targets(batch.labels, batch.masks, batch.negative, batch.ignore, batch.exact, batch.weights)
        out = model(batch.images, masks=False)
        masks = query_masks(model, out["kernels"], out["mask_map"])
        places, near, boxes, sure = out["queries_global"].places, None, None, None
        if places is None:
            chosen = assign(out["class_logits"], masks.all, targets)
        else:
            chosen, near = assign_by_boxes(places, out["class_logits"], masks.all, targets)
            boxes = kernel_boxes(out["kernels"])
            if self.losses.kept > 0:
                sure = class_scores(places, model.config.classes).detach()
        wanted = chosen if near is None else near
        known, boxed = split_exact(wanted, targets)
        losses = instance_losses(
            out["class_logits"],
            out["objectness_logits"],
            masks,
            targets,
            self.losses,
            objects=objects,
            assignment=chosen,
            near=known,
            spared=near,
            boxes=boxes,
            known=sure,
        )
        if boxed.image.shape[0] and self.losses.boxes > 0:
            losses["boxes"] = self.losses.boxes * self._boxes(masks, sharp, targets, boxed)
        if self.losses.places > 0 and out["places"]:
            losses.update(place_losses(out["places"], model.config.kinds, targets, self.losses.places))
        if self.losses.kept > 0 and out["places"]:
            losses.update(kept_losses(out["places"], self._before(model, sharp), self.losses.kept))
        if batch.clips:
            passed = self._passed(model, out, batch, targets, chosen, objects)
            losses.update(passed)
        if self.auxiliary.early_heads > 0:
            losses.update(self._early(model, out, targets, objects))
        if self.auxiliary.semantic > 0 or self.auxiliary.centre > 0:
            learned = model.project(at_stride_8(model, out["mask_map"]))[:, self.basis :]  # beside windows
            losses.update(self.heads(learned, halve_targets(targets), self.auxiliary))
        return losses, _measures(masks, targets, known, boxes)

    @torch.no_grad()
    def _before(self, model: MobileInst, images: Tensor) -> Sequence[Places[Tensor]]:
        """What the backbone of the start says of every place."""
        detector: MobileInst = self._detector[0]
        return detector.backbone_features(images).places

    @staticmethod
    def _boxes(found: Masks, images: Tensor, targets: Targets, pairs: Assignment) -> Tensor:
        """Mean loss of masks of which only boxes are known."""
        if pairs.image.shape[0] > _MOST_BOXES:
            keep = torch.randperm(pairs.image.shape[0])[:_MOST_BOXES].sort().values.to(pairs.image.device)
            pairs = Assignment(pairs.image[keep], pairs.query[keep], pairs.target[keep])
        assert targets.weights is not None
        boxes = pairs.target_masks(targets).float()
        sure = torch.cat([w[pairs.target[pairs.image == b]] for b, w in enumerate(targets.weights)])
        alike = similar_neighbours(images, (int(boxes.shape[1]), int(boxes.shape[2])))[pairs.image]
        logits = found.of(pairs)
        return box_mask_losses(logits, boxes, sure, alike) / pairs.image.shape[0]

    def _early(
        self, model: MobileInst, out: dict[str, Any], targets: Targets, objects: float
    ) -> dict[str, Tensor]:
        """The same heads and losses on the global decoder's queries, several of them per object."""
        class_logits, objectness, kernels = model.decode_heads(out["queries_global"])
        masks = mask_product(kernels, out["mask_features"])
        copies = self.auxiliary.copies
        chosen = assign(class_logits, masks, targets, copies)
        known, _ = split_exact(chosen, targets)
        found = instance_losses(
            class_logits,
            objectness[..., 0],
            Masks(masks),
            targets,
            self.losses,
            objects=objects * copies,
            assignment=chosen,
            near=known if targets.exact is not None else None,
        )
        return {f"early_{name}": self.auxiliary.early_heads * loss for name, loss in found.items()}

    def _passed(
        self,
        model: MobileInst,
        out: dict[str, Any],
        batch: Batch,
        targets: Targets,
        chosen: Assignment,
        objects: float,
    ) -> dict[str, Tensor]:
        """Query passing (paper's temporal training): Q_G of frame t in the local decoder at t + delta.

        The masks get mask losses only, with the targets of t + delta.
        """
        count = batch.clips
        later = Features(out["mask_features"][count:], out["pooled"][count:], out["x6"][count:])
        passed = out["queries_global"]
        first = Queries(
            passed.content[:count],
            passed.position if passed.places is None else passed.position[:count],
            None if passed.places is None else passed.places[:count],
        )
        kernels = model.instances(later, first).kernels
        masks = query_masks(model, kernels, out["mask_map"][count:])
        if self.temporal.assignment == "carried":
            pairs = carry(chosen, batch.ids, count)
        else:
            pairs = _second_half(chosen, count)
        truth = Targets(targets.labels[count:], targets.masks[count:])
        wanted = pairs.target_masks(truth).float()
        picked = fit_logits(masks.of(pairs), tuple(wanted.shape[1:]))
        # ``objects`` counts both frames of each clip
        found = mask_losses(picked, wanted, self.losses, objects=max(objects / 2, 1.0))
        return {f"passed_{name}": self.temporal.weight * loss for name, loss in found.items()}


def carry(chosen: Assignment, ids: list[Tensor], count: int) -> Assignment:
    """Pairs of frame t carried to t + delta by identity; objects that are absent there drop out.

    Args:
        chosen: Assignment of all frames; images ``b`` and ``count + b`` are the frames of clip ``b``.
        ids: Identities of each frame's objects.

    Returns:
        Pairs with image = clip and target = index among the objects of t + delta.
    """
    images, queries, targets = [], [], []
    for image, query, target in zip(
        chosen.image.tolist(), chosen.query.tolist(), chosen.target.tolist(), strict=True
    ):
        if image >= count:
            continue
        same = (ids[count + image] == ids[image][target]).nonzero().flatten().tolist()
        if same:
            images.append(image)
            queries.append(query)
            targets.append(same[0])
    device = chosen.image.device
    pairs = [torch.tensor(v, dtype=torch.int64, device=device) for v in (images, queries, targets)]
    return Assignment(*pairs)


def _second_half(chosen: Assignment, count: int) -> Assignment:
    keep = chosen.image >= count
    return Assignment(chosen.image[keep] - count, chosen.query[keep], chosen.target[keep])


def _measures(found: Masks, targets: Targets, chosen: Assignment, boxes: Tensor | None) -> dict[str, float]:
    """Matched pairs and the sum of their masks' IoU."""
    if chosen.query.shape[0] == 0:
        return {"matched": 0.0, "iou": 0.0}
    masks = chosen.target_masks(targets)
    with torch.no_grad():
        picked = found.of(chosen)
    share = None
    if boxes is None:
        picked = fit_logits(picked, tuple(masks.shape[1:]))
    else:
        picked, masks, share = in_boxes(picked, masks, boxes[chosen.image, chosen.query])
    overlap = mask_iou(picked, masks, share)
    return {"matched": float(chosen.query.shape[0]), "iou": float(overlap.sum())}


def total(losses: dict[str, Tensor]) -> Tensor:
    """Sum of all losses."""
    return torch.stack(list(losses.values())).sum()
