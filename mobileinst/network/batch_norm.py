"""Batch norm at inference: a scale and a shift of each channel, which the layer before it takes over."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mobileinst.network.ops import NORM_EPS

Array = NDArray[np.float32]

#: What tensors of a batch norm are called, behind its prefix: gamma, beta, mean and variance.
NORM_LEAVES = ("weight", "bias", "running_mean", "running_var")


def fold(
    weight: Array, bias: Array | None, norm: Iterable[Array], eps: float = NORM_EPS
) -> tuple[Array, Array]:
    """Weight (O, ...) and bias (O,) of a layer that includes the batch norm behind it.

    Computed in double precision and rounded once; ``bias`` None is one of zeros, ``norm`` are the norm's
    tensors in the order of :data:`NORM_LEAVES`.
    """
    gamma, beta, mean, variance = norm
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
    shift = beta - mean * scale
    if bias is not None:
        shift = shift + bias * scale
    folded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return np.ascontiguousarray(folded, np.float32), shift.astype(np.float32)
