"""The connected component of a mask that is kept, against labels by SciPy."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native

TIERS = _native.supported_tiers()


def heaviest(logits: np.ndarray, threshold: float) -> np.ndarray:
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = logits > threshold
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count < 2:
        return logits
    weights = ndimage.sum(1 / (1 + np.exp(-logits.astype(np.float64))), labels, range(1, count + 1))
    return np.where(mask & (labels != 1 + np.argmax(weights)), np.float32(threshold - 1), logits)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (1, 9),
        (9, 1),
        (2, 2),
        (3, 5),
        (7, 8),
        (17, 15),
        (33, 64),
        (60, 108),
        (5, 131),
        (4, 192),
        (0, 4),
    ],
)
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_equals_scipys_labels(tier: str, size: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, *size)).astype(np.float32)
    threshold = float(np.float32(np.quantile(logits, 1 - share))) if logits.size else 0.0
    kept = _native.heaviest_components(logits, threshold, tier=tier)
    for before, after in zip(logits, kept, strict=True):
        np.testing.assert_array_equal(after, heaviest(before, threshold))


@pytest.mark.parametrize("tier", TIERS)
def test_weight_counts_more_than_area(tier: str) -> None:
    logits = np.full((1, 5, 9), -5, np.float32)
    logits[0, 1:3, 0:2] = -0.1
    logits[0, 1:4, 7] = 4
    kept = _native.heaviest_components(logits, -0.2, tier=tier)
    assert (kept[0, 1:3, 0:2] == np.float32(-1.2)).all()
    np.testing.assert_array_equal(kept[..., 4:], logits[..., 4:])


def test_diagonal_neighbours_belong_together_and_the_input_stays() -> None:
    logits = np.where(np.eye(6, dtype=np.bool_), np.float32(1), np.float32(-1))[None]
    before = logits.copy()
    np.testing.assert_array_equal(_native.heaviest_components(logits, 0), before)
    logits[0, 0, 5] = 1
    kept = _native.heaviest_components(logits, 0)
    np.testing.assert_array_equal(kept, before)
    assert logits[0, 0, 5] == 1


@pytest.mark.parametrize("tier", TIERS)
def test_of_equal_components_the_first_is_kept(tier: str) -> None:
    logits = np.full((1, 9, 70), -5, np.float32)
    blob = np.random.default_rng(4).uniform(0, 3, (3, 5)).astype(np.float32)
    logits[0, 1:4, 60:65] = blob  # across two words of bits, and first by rows
    logits[0, 2:5, 3:8] = blob
    logits[0, 8, 69] = 9
    kept = _native.heaviest_components(logits, 0, tier=tier)
    np.testing.assert_array_equal(kept[0, 1:4, 60:65], blob)
    assert ((kept > 0) == np.pad(np.ones((1, 3, 5), np.bool_), ((0, 0), (1, 5), (60, 5)))).all()


@pytest.mark.parametrize("tier", TIERS)
def test_a_spiral_is_one_component(tier: str) -> None:
    """Its arms meet again far below where the rows' runs began."""
    logits = np.full((1, 40, 75), -4, np.float32)
    for inset in range(0, 18, 4):
        logits[0, inset : 40 - inset, [inset, 74 - inset]] = 2
        logits[0, 39 - inset, inset : 75 - inset] = 2
        logits[0, 35 - inset : 39 - inset, inset + 1 : inset + 5] = 2
    np.testing.assert_array_equal(
        _native.heaviest_components(logits, 0, tier=tier), heaviest(logits[0], 0)[None]
    )


def test_wrong_logits() -> None:
    with pytest.raises(ValueError, match="logits"):
        _native.heaviest_components(np.zeros((2, 2), np.float32), 0)
    with pytest.raises(ValueError, match="finite"):
        _native.heaviest_components(np.full((1, 2, 2), np.nan, np.float32), 0)
    with pytest.raises(TypeError, match="float32"):
        _native.heaviest_components(np.zeros((1, 2, 2)), 0)  # type: ignore[arg-type]
