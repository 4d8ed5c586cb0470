"""What follows the sums of every matrix and convolution kernel: bias, activation, residual."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.definitions import (
    ACTIVATIONS,
    TIERS,
)
from tests.support.kernel_bindings import kernels

TILES = (4, 6, 8)


@pytest.mark.parametrize("tier", TIERS)
def test_residual_may_be_the_output(tier: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 11, 20), dtype=np.float32)
    weight = rng.standard_normal((20, 20, 3, 3), dtype=np.float32)
    before = rng.standard_normal((9, 11, 20), dtype=np.float32)
    a, projection = x.reshape(-1, 20), weight[:, :, 0, 0].copy()
    calls: list[tuple[Any, ...]] = [
        *((kernels.conv3x3, x, weight, tile) for tile in TILES),
        (kernels.conv_direct, x, weight),
        (kernels.depthwise, x, weight[:, :1].copy()),
        (kernels.gemm, a, projection),
    ]
    for function, *arguments in calls:
        given = before.reshape(99, 20) if function is kernels.gemm else before
        want = function(*arguments, residual=given, tier=tier)
        out = given.copy()
        function(*arguments, residual=out, out=out, tier=tier)
        assert np.array_equal(out, want)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_is_not_hidden(tier: str, activation: str | None) -> None:
    x = np.ones((5, 6, 20), np.float32)
    x[2, 3, 4] = np.nan
    dense = np.ones((20, 20, 3, 3), np.float32)
    for tile in TILES:
        assert np.isnan(kernels.conv3x3(x, dense, tile, activation=activation, tier=tier)[2, 3]).all()
    assert np.isnan(kernels.conv_direct(x, dense, activation=activation, tier=tier)[2, 3]).all()
    assert np.isnan(kernels.depthwise(x, dense[:, :1].copy(), activation=activation, tier=tier)[2, 3, 4])
    product = kernels.gemm(x.reshape(30, 20), dense[:, :, 0, 0].copy(), activation=activation, tier=tier)
    assert np.isnan(product[15]).all()
    assert not np.isnan(product[16]).any()
