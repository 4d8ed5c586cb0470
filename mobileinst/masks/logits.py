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
    logits: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
    boxes: NDArray[np.float32] | None = None,
) -> list[NDArray[np.uint32]]:
    """COCO run lengths of each mask, interpolated to (height, width).

    Masks end at their boxes (n, 4), left, top, right and bottom as shares of the sides, rounded to pixels: at
    least one.
    """
    found: list[NDArray[np.uint32]] = _native.rle_from_logits(
        np.ascontiguousarray(logits),
        *size,
        threshold,
        None if boxes is None else _pixel_boxes(boxes, size),
    )
    return found


def _pixel_boxes(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint32]:
    sides = np.array([size[1], size[0]])
    scaled = np.clip(boxes, 0.0, 1.0).reshape(-1, 2, 2) * sides
    first = np.minimum(np.floor(scaled[:, 0] + 0.5), sides - 1)
    last = np.maximum(np.floor(scaled[:, 1] + 0.5), first + 1)
    return np.concatenate([first, last], 1).astype(np.uint32)
