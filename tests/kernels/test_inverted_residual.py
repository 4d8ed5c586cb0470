"""Inverted residuals, computed row by row, against the definition and against their parts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.support.definitions import (
    ACTIVATIONS,
    SIZES,
    TIERS,
    Array,
    activate,
    check_tiers,
    convolve,
    spaced,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([3, 5], [1, 2])))
@pytest.mark.parametrize("seed", range(12))
def test_inverted_residual(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 5, 8, 9, 16, 33])) for _ in range(2))
    channels, out_channels = (int(rng.choice(SIZES[:13])) for _ in range(2))
    hidden = channels if seed % 3 == 0 else int(rng.choice(SIZES))
    x = spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8])))
    expand = None if seed % 3 == 0 else rng.standard_normal((hidden, channels), dtype=np.float32)
    filters = rng.standard_normal((hidden, 1, kernel, kernel), dtype=np.float32)
    project = rng.standard_normal((out_channels, hidden), dtype=np.float32)
    biases = rng.standard_normal((2, hidden), dtype=np.float32)
    inner = ACTIVATIONS[seed % len(ACTIVATIONS)]

    expanded = x.astype(np.float64)
    if expand is not None:
        expanded = activate(np.einsum("hwc,oc->hwo", expanded, expand) + biases[0], inner)
    filtered = activate(convolve(expanded, filters, stride, groups=hidden) + biases[1], inner)
    sums = np.einsum("hwc,oc->hwo", filtered, project)

    def run(**options: Any) -> Array:
        result: Array = kernels.inverted_residual(
            x, expand, filters, project, stride, biases[0], biases[1], inner, **options
        )
        return result

    check_tiers(run, sums, rng, 3e-5)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("hidden", [97, 128])
def test_inverted_residual_in_strips_equals_its_parts(hidden: int, tier: str) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((4, 701, 9), dtype=np.float32)
    expand = rng.standard_normal((hidden, 9), dtype=np.float32)
    filters = rng.standard_normal((hidden, 1, 5, 5), dtype=np.float32)
    project = rng.standard_normal((7, hidden), dtype=np.float32)
    expanded = kernels.gemm(x.reshape(-1, 9), expand, activation="relu", tier=tier).reshape(4, 701, hidden)
    filtered = kernels.depthwise(expanded, filters, activation="relu", tier=tier)
    want = kernels.gemm(filtered.reshape(-1, hidden), project, tier=tier).reshape(4, 701, 7)
    got = kernels.inverted_residual(x, expand, filters, project, block_activation="relu", tier=tier)
    assert np.array_equal(got, want)
