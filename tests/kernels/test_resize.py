"""Bilinear resizes, with a product and a sum or without, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    TIERS,
    WAYS,
    activate,
    bilinear,
    make,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("size", "out"),
    [
        ((1, 1), (1, 1)),
        ((1, 1), (3, 5)),
        ((4, 5), (8, 10)),
        ((7, 3), (5, 11)),
        ((9, 8), (4, 4)),
        ((2, 9), (1, 1)),
    ],
)
def test_resize(tier: str, size: tuple[int, int], out: tuple[int, int]) -> None:
    for channels in (1, 4, 7, 16, 19):
        x, shift = make(*size, channels), make(*size, channels, seed=1)
        local = make(*out, channels, seed=2)
        resized = bilinear(x.astype(np.float64), *out)
        cases = (
            (None, None, resized),
            (local, None, local + resized),
            (local, shift, local * resized + bilinear(shift.astype(np.float64), *out)),
        )
        for padding, parts in WAYS:
            for given_local, given_shift, expected in cases:
                got = kernels.resize(
                    x, *out, given_local, given_shift, tier=tier, padding=padding, parts=parts
                )
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        got = kernels.resize(x, *out, local, activation="relu6", tier=tier)
        np.testing.assert_allclose(got, activate(local + resized, "relu6"), rtol=1e-5, atol=1e-5)
