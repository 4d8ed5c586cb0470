"""Direct convolutions, grouped ones too: `ref` against the definition, every tier against `ref`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.support.definitions import (
    ACTIVATIONS,
    SIZES,
    TIERS,
    activate,
    check_tiers,
    convolve,
    spaced,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([1, 3, 5], [1, 2])))
@pytest.mark.parametrize("out_channels", [16, 47])
def test_conv_direct_of_every_width(kernel: int, stride: int, out_channels: int) -> None:
    rng = np.random.default_rng(kernel)
    weight = rng.standard_normal((out_channels, 3, kernel, kernel), dtype=np.float32)
    bias = rng.standard_normal(out_channels, dtype=np.float32)
    for width in range(1, 23):
        x = rng.standard_normal((4, width, 3), dtype=np.float32)
        sums = convolve(x, weight, stride)
        residual = spaced(rng, sums.shape, 2) if width % 3 else None
        activation = ACTIVATIONS[width % len(ACTIVATIONS)]
        want = activate(sums + bias, activation) + (0 if residual is None else residual)
        for tier in TIERS[1:]:
            got = kernels.conv_direct(
                x, weight, stride, bias=bias, activation=activation, residual=residual, tier=tier
            )
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4, err_msg=f"{tier} {width}")


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([1, 3, 5], [1, 2, 3])))
@pytest.mark.parametrize("seed", range(5))
def test_conv_direct(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 5, 8, 9, 16, 33])) for _ in range(2))
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, out_channels = groups * int(rng.choice([1, 2, 3, 5, 16])), groups * int(rng.choice(SIZES[:13]))
    x = spaced(rng, (height, width, channels), int(rng.choice([0, 0, 1])))
    weight = rng.standard_normal((out_channels, channels // groups, kernel, kernel), dtype=np.float32)
    sums = convolve(x, weight, stride, groups)
    check_tiers(lambda **options: kernels.conv_direct(x, weight, stride, groups, **options), sums, rng, 1e-5)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="groups"):
        kernels.conv_direct(np.zeros((4, 4, 6), np.float32), np.zeros((2, 6, 3, 3), np.float32), groups=4)
