"""Layer norms, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    CHANNELS,
    TIERS,
    WAYS,
    make,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("channels", [2, *CHANNELS[1:], 256])
def test_layer_norm(tier: str, channels: int) -> None:
    x = 3 * make(6, channels) + 10
    weight, bias = make(channels, seed=1), make(channels, seed=2)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight + bias
    for padding, parts in WAYS:
        got = kernels.layer_norm(x, weight, bias, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tier", TIERS)
def test_layer_norm_of_a_constant_row_is_its_bias(tier: str) -> None:
    bias = make(20)
    got = kernels.layer_norm(np.full((2, 20), 5, np.float32), make(20, seed=1), bias, tier=tier)
    np.testing.assert_allclose(got, np.stack([bias, bias]), atol=1e-5)
