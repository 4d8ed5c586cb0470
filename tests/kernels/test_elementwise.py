"""Sums, products and copies with an activation, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    ACTIVATIONS,
    CHANNELS,
    TIERS,
    WAYS,
    activate,
    make,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("op", ["copy", "add", "multiply", "multiply_add"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_elementwise(tier: str, op: str, activation: str | None) -> None:
    for channels in CHANNELS:
        a, b, c = (4 * make(5, channels, seed=i) for i in range(3))
        wide = a.astype(np.float64)
        expected = {"copy": wide, "add": wide + b, "multiply": wide * b, "multiply_add": wide * b + c}[op]
        for padding, parts in WAYS:
            got = kernels.elementwise(
                op, a, b, c, activation=activation, tier=tier, padding=padding, parts=parts
            )
            np.testing.assert_allclose(got, activate(expected, activation), rtol=1e-5, atol=1e-5)


def test_arguments_are_checked() -> None:
    with pytest.raises(
        TypeError, match=r"a: expected a float32 array of shape \(any, any\), got dtype float64"
    ):
        kernels.elementwise("add", np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"b: expected a float32 array of shape \(2, 3\).*got \(2, 2\)"):
        kernels.elementwise("add", np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="op: expected 'copy'"):
        kernels.elementwise("minus", np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="activation: expected None, 'relu'"):
        kernels.elementwise("copy", np.zeros((2, 2), np.float32), activation="tanh")
