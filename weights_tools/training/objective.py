"""The training loss of one batch: instance losses, query passing, and the training-only aids."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mobileinst.network import Features
from weights_tools.torch_ops import MobileInst, mask_product
from weights_tools.training.auxiliary import AuxiliaryHeads, AuxiliaryWeights, halve_targets
from weights_tools.training.data import Batch
from weights_tools.training.losses import (
    Assignment,
    LossWeights,
    Targets,
    assign,
    fit_logits,
    instance_losses,
    mask_iou,
    mask_losses,
)
from weights_tools.training.temporal import TemporalConfig


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
        self.heads = AuxiliaryHeads(model.config.kernel_dim, model.config.classes)

    def forward(
        self, model: MobileInst, batch: Batch, objects: float
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Losses by name (their sum is minimised) and measures for the log.

        Args:
            objects: Mean number of objects over the processes, at least 1.
        """
        targets = Targets(batch.labels, batch.masks, batch.negative, batch.ignore)
        out = model(batch.images)
        chosen = assign(out["class_logits"], out["mask_logits"], targets)
        losses = instance_losses(
            out["class_logits"],
            out["objectness_logits"],
            out["mask_logits"],
            targets,
            self.losses,
            objects=objects,
            assignment=chosen,
        )
        if batch.clips:
            passed = self._passed(model, out, batch, targets, chosen, objects)
            losses.update(passed)
        if self.auxiliary.early_heads > 0:
            losses.update(self._early(model, out, targets, objects))
        if self.auxiliary.semantic > 0 or self.auxiliary.centre > 0:
            losses.update(self.heads(out["mask_features"], halve_targets(targets), self.auxiliary))
        return losses, _measures(out["mask_logits"], targets, chosen)

    def _early(
        self, model: MobileInst, out: dict[str, Tensor], targets: Targets, objects: float
    ) -> dict[str, Tensor]:
        """The same heads and losses on the global decoder's queries, several of them per object."""
        class_logits, objectness, kernels = model.decode_heads(out["queries_global"])
        masks = mask_product(kernels, out["mask_features"])
        copies = self.auxiliary.copies
        chosen = assign(class_logits, masks, targets, copies)
        found = instance_losses(
            class_logits,
            objectness[..., 0],
            masks,
            targets,
            self.losses,
            objects=objects * copies,
            assignment=chosen,
        )
        return {f"early_{name}": self.auxiliary.early_heads * loss for name, loss in found.items()}

    def _passed(
        self,
        model: MobileInst,
        out: dict[str, Tensor],
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
        kernels = model.instances(later, out["queries_global"][:count]).kernels
        masks = mask_product(kernels, later.mask_features)
        if self.temporal.assignment == "carried":
            pairs = carry(chosen, batch.ids, count)
        else:
            pairs = _second_half(chosen, count)
        truth = Targets(targets.labels[count:], targets.masks[count:])
        wanted = pairs.target_masks(truth).float()
        picked = fit_logits(masks[pairs.image, pairs.query].float(), tuple(wanted.shape[1:]))
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


def _measures(mask_logits: Tensor, targets: Targets, chosen: Assignment) -> dict[str, float]:
    """Matched pairs and the sum of their masks' IoU."""
    if chosen.query.shape[0] == 0:
        return {"matched": 0.0, "iou": 0.0}
    masks = chosen.target_masks(targets)
    picked = mask_logits[chosen.image, chosen.query].detach().float()
    overlap = mask_iou(fit_logits(picked, tuple(masks.shape[1:])), masks)
    return {"matched": float(chosen.query.shape[0]), "iou": float(overlap.sum())}


def total(losses: dict[str, Tensor]) -> Tensor:
    """Sum of all losses."""
    return torch.stack(list(losses.values())).sum()
