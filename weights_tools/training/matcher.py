"""One-to-one assignment of queries to objects (docs/spec.md: Losses and matching, SparseInst)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

try:
    from scipy.optimize import linear_sum_assignment
except ImportError as error:  # pragma: no cover
    raise ImportError('training needs SciPy: pip install "mobileinst[train]"') from error

#: Added to the denominator of every dice score.
DICE_EPSILON = 1e-4

_MASK_POWER = 0.8
_CLASS_POWER = 0.2


def dice_scores(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Dice of every mask with every target: (N, P) and (M, P) give (N, M)."""
    numerator = 2.0 * (probabilities @ targets.T)
    squares = probabilities.square().sum(1)[:, None] + targets.square().sum(1)[None, :]
    return numerator / (squares + DICE_EPSILON)


@torch.no_grad()
def match(
    class_logits: Tensor, mask_logits: Tensor, labels: Tensor, masks: Tensor, copies: int = 1
) -> tuple[Tensor, Tensor]:
    """Assign queries to the objects of one image so that dice^0.8 * p_class^0.2 is largest in sum.

    Args:
        class_logits: (N, classes).
        mask_logits: (N, h, w).
        labels: int64 (M,).
        masks: (M, h, w), values 0 to 1.
        copies: How many queries each object gets (more than one for auxiliary heads only).

    Returns:
        Indices of queries and of objects, int64 (K,) each, sorted by query; K = min(N, copies * M).

    Raises:
        ValueError: if the masks and logits differ in size.
    """
    if mask_logits.shape[1:] != masks.shape[1:]:
        raise ValueError(
            f"mask logits {tuple(mask_logits.shape)} and targets {tuple(masks.shape)} differ in size"
        )
    if masks.shape[0] == 0:
        empty = torch.zeros(0, dtype=torch.int64, device=mask_logits.device)
        return empty, empty.clone()
    dice = dice_scores(mask_logits.float().sigmoid().flatten(1), masks.float().flatten(1))
    probability = class_logits.float().sigmoid()[:, labels]
    score = (dice**_MASK_POWER * probability**_CLASS_POWER).cpu().numpy()
    queries, objects = _assign(np.nan_to_num(score), copies)
    device = mask_logits.device
    return torch.from_numpy(queries).to(device), torch.from_numpy(objects).to(device)


def _assign(score: NDArray[np.float32], copies: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hungarian assignment; every column may be used ``copies`` times."""
    count = score.shape[1]
    queries, columns = linear_sum_assignment(np.tile(score, (1, copies)), maximize=True)
    return queries.astype(np.int64), (columns % count).astype(np.int64)
