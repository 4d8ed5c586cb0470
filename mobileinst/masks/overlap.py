"""Overlap of masks at the network's mask resolution, and suppression of duplicates by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Intersection over union of masks (m, h, w) with masks (n, h, w): float32 (m, n), 0 for empty masks."""
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"expected masks (m, h, w) and (n, h, w), got shapes {a.shape} and {b.shape}")
    return _native.mask_iou(a, b)


def suppress_duplicates(
    scores: NDArray[np.float32], masks: NDArray[np.bool_], max_iou: float
) -> NDArray[np.int64]:
    """Indices to keep, best score first: a mask goes when a better one covers it with IoU above `max_iou`.

    Labels don't matter: two masks of nearly the same pixels are one object, whatever it is taken for.
    Ties of scores keep the lower index. `max_iou` of 1 keeps all.
    """
    order = np.argsort(-scores, kind="stable")
    if max_iou >= 1 or len(order) < 2:
        return order.astype(np.int64)
    ranked = masks[order]
    clashes = np.triu(mask_iou(ranked, ranked) > max_iou, 1)
    kept = np.ones(len(order), np.bool_)
    for i in np.flatnonzero(clashes.any(1)):
        if kept[i]:
            kept[clashes[i]] = False
    return np.asarray(order[kept], np.int64)


def own_share(scores: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share of each mask that no mask of a better score covers, float32 (n,); 0 for empty masks.

    Ties of scores count the lower index as better.
    """
    return _native.own_shares(masks, np.argsort(-scores, kind="stable").astype(np.int64, copy=False))
