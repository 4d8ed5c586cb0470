"""Products of kernels and mask features, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    TIERS,
    WAYS,
    make,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("count", [1, 2, 7, 16, 33])
@pytest.mark.parametrize(("pixels", "channels"), [(1, 1), (95, 24), (97, 128), (200, 7)])
def test_mask_product(tier: str, count: int, pixels: int, channels: int) -> None:
    weights, features = make(count, channels), make(pixels, channels, seed=1)
    bias = make(count, 1, seed=2)[:, 0]
    expected = weights.astype(np.float64) @ features.T
    for padding, parts in WAYS:
        got = kernels.mask_product(weights, features, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        got = kernels.mask_product(weights, features, bias=bias, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected + bias[:, None], rtol=1e-4, atol=1e-4)
