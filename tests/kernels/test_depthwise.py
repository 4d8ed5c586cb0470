"""Depthwise convolutions: `ref` against the definition, every tier against `ref`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.support.definitions import (
    ACTIVATIONS,
    SIZES,
    TIERS,
    check_tiers,
    convolve,
    spaced,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([3, 5], [1, 2])))
@pytest.mark.parametrize("channels", [16, 40, 55])
def test_depthwise_of_every_width(kernel: int, stride: int, channels: int) -> None:
    rng = np.random.default_rng(channels)
    weight = rng.standard_normal((channels, 1, kernel, kernel), dtype=np.float32)
    bias = rng.standard_normal(channels, dtype=np.float32)
    for width in range(1, 23):
        x = spaced(rng, (4, width, channels), 1)
        options = {
            "stride": stride,
            "activation": ACTIVATIONS[width % 3],
            "bias": None if width % 4 else bias,
        }
        want = kernels.depthwise(x, weight, tier="ref", **options)
        for tier in TIERS[1:]:
            got = kernels.depthwise(x, weight, tier=tier, **options)
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4, err_msg=f"{tier} {width}")


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([1, 3, 5, 7], [1, 2, 3])))
@pytest.mark.parametrize("seed", range(5))
def test_depthwise(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 5, 8, 9, 16, 33])) for _ in range(2))
    channels = int(rng.choice(SIZES))
    x = spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8])))
    weight = rng.standard_normal((channels, 1, kernel, kernel), dtype=np.float32)
    sums = convolve(x, weight, stride, groups=channels)
    check_tiers(lambda **options: kernels.depthwise(x, weight, stride, **options), sums, rng, 1e-5)


def test_wrong_arguments_are_named() -> None:
    x = np.zeros((4, 4, 6), np.float32)
    with pytest.raises(ValueError, match="odd"):
        kernels.depthwise(x, np.zeros((6, 1, 2, 2), np.float32))
    with pytest.raises(ValueError, match="stride"):
        kernels.depthwise(x, np.zeros((6, 1, 3, 3), np.float32), 0)
