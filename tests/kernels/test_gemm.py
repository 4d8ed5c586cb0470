"""Matrix products: `ref` against the definition, every tier against `ref`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    SIZES,
    check_tiers,
    spaced,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("seed", range(60))
def test_gemm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = (int(rng.choice(SIZES)) for _ in range(3))
    a = spaced(rng, (m, k), int(rng.choice([0, 1, 7])))
    weight = rng.standard_normal((n, k), dtype=np.float32)
    sums = np.einsum("mk,nk->mn", a.astype(np.float64), weight.astype(np.float64))
    check_tiers(lambda **options: kernels.gemm(a, weight, **options), sums, rng, 1e-5)


def test_wrong_arguments_are_named() -> None:
    a = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match="weight"):
        kernels.gemm(a, np.zeros((2, 4), np.float32))
    with pytest.raises(TypeError, match=r"a: .*float32"):
        kernels.gemm(a.astype(np.float64), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="bias"):
        kernels.gemm(a, np.zeros((2, 3), np.float32), bias=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="tier"):
        kernels.gemm(a, np.zeros((2, 3), np.float32), tier="sse9")
