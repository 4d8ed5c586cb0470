"""Overlap of masks as bits, against NumPy on booleans."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.masks.overlap import suppress_duplicates

TIERS = _native.supported_tiers()
#: Cells around whole words of 64 bits and vectors of 16 and 32 bytes, and enough to fill a NEON counter.
SIZES = [(1, 1), (1, 63), (8, 8), (5, 13), (1, 129), (7, 31), (60, 108), (80, 80)]


def random_masks(count: int, size: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    """Random shares of ones, an empty mask and a full one among them."""
    rng = np.random.default_rng([seed, *size])
    masks = rng.random((count, *size)) < rng.random((count, 1, 1))
    masks[1:2] = False
    masks[2:3] = True
    return masks


def plain_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float32]:
    iou = np.zeros((len(a), len(b)), np.float32)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            iou[i, j] = np.float32((x & y).sum()) / np.float32(max((x | y).sum(), 1))
    return iou


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("size", SIZES)
def test_mask_iou(tier: str, size: tuple[int, int]) -> None:
    a, b = random_masks(5, size, 0), random_masks(4, size, 1)
    np.testing.assert_array_equal(_native.mask_iou(a, b, tier=tier), plain_iou(a, b))
    np.testing.assert_array_equal(_native.mask_iou(a, a, tier=tier), plain_iou(a, a))
    np.testing.assert_array_equal(_native.mask_iou(a, a[:3], tier=tier), plain_iou(a, a[:3]))
    every_second = a[:, :, ::-1][::2]
    np.testing.assert_array_equal(_native.mask_iou(every_second, b, tier=tier), plain_iou(every_second, b))
    assert _native.mask_iou(a[:0], b, tier=tier).shape == (0, 4)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("size", SIZES)
def test_own_shares(tier: str, size: tuple[int, int]) -> None:
    masks = random_masks(6, size, 2)
    order = np.array([3, 0, 5, 1, 4, 2])
    expected = np.zeros(6, np.float32)
    covered = np.zeros(size, np.bool_)
    for i in order:
        expected[i] = (masks[i] & ~covered).sum() / max(masks[i].sum(), 1)
        covered |= masks[i]
    np.testing.assert_array_equal(_native.own_shares(masks, order, tier=tier), expected)


def test_wrong_masks_and_orders() -> None:
    masks = np.zeros((2, 3, 4), np.bool_)
    with pytest.raises(TypeError, match="a: expected a bool array"):
        _native.mask_iou(masks.astype(np.uint8), masks)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"b: expected a bool array of shape \(any, 3, 4\)"):
        _native.mask_iou(masks, np.zeros((2, 3, 5), np.bool_))
    for order in ([0, 0], [0, 2], [-1, 0]):
        with pytest.raises(ValueError, match=r"order: expected each of 0\.\.1 once"):
            _native.own_shares(masks, np.array(order))
    with pytest.raises(ValueError, match="order: expected a int64 array"):
        _native.own_shares(masks, np.array([0]))


def test_duplicates_go_only_for_a_mask_that_stays() -> None:
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 6, (40, 2))
    masks = np.zeros((40, 12, 12), np.bool_)
    for mask, (row, column) in zip(masks, blocks, strict=True):
        mask[row : row + 6, column : column + 6] = True
    scores = rng.integers(0, 9, 40).astype(np.float32)
    overlap = plain_iou(masks, masks)
    for limit in (0.2, 0.5, 0.7):
        kept: list[int] = []
        for i in np.argsort(-scores, kind="stable"):
            if all(overlap[i, j] <= limit for j in kept):
                kept.append(int(i))
        assert 1 < len(kept) < 40
        assert suppress_duplicates(scores, masks, limit).tolist() == kept
