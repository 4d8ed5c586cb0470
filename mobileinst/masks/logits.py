"""Masks from logits at the network's mask resolution: heaviest components, how sure they are, run lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native


def heaviest_components(logits: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Logits (n, h, w) with only the heaviest connected component of each mask above a threshold."""
    return np.asarray(_native.heaviest_components(np.ascontiguousarray(logits), threshold))


def maskness(logits: NDArray[np.float32], probability: float) -> NDArray[np.float32]:
    """Mean probability (n,) of each mask's pixels above a probability."""
    return np.asarray(_native.maskness(np.ascontiguousarray(logits), probability))


def run_lengths(
    logits: NDArray[np.float32], size: tuple[int, int], threshold: float
) -> list[NDArray[np.uint32]]:
    """COCO run lengths of each mask, interpolated to (height, width)."""
    return list(_native.rle_from_logits(np.ascontiguousarray(logits), *size, threshold))
