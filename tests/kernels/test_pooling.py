"""Adaptive pools, averages and maxima, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native
from tests.support.definitions import CHANNELS, TIERS, WAYS, make
from tests.support.kernel_bindings import kernels
from tests.support.nodes import run_node


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize(
    ("size", "out"),
    [((1, 1), (1, 1)), ((8, 8), (1, 1)), ((7, 11), (4, 6)), ((13, 5), (13, 5)), ((2, 3), (5, 4))],
)
def test_pool(tier: str, average: bool, size: tuple[int, int], out: tuple[int, int]) -> None:
    for channels in CHANNELS:
        x = make(*size, channels) - 3
        expected = np.empty((*out, channels))
        for i in range(out[0]):
            for j in range(out[1]):
                rows = slice(i * size[0] // out[0], -(-(i + 1) * size[0] // out[0]))
                columns = slice(j * size[1] // out[1], -(-(j + 1) * size[1] // out[1]))
                window = x[rows, columns].astype(np.float64)
                expected[i, j] = window.mean((0, 1)) if average else window.max((0, 1))
        for padding, parts in WAYS:
            got = kernels.pool(x, *out, average, tier=tier, padding=padding, parts=parts)
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("window", [1, 3, 5])
def test_window_maxima(tier: str, window: int) -> None:
    reach = window // 2
    for shape in ((4, 7, 5), (9, 8, 17), (37, 41, 33)):
        x = make(*shape).astype(np.float16).astype(np.float32)
        padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), constant_values=-np.inf)
        expected = np.lib.stride_tricks.sliding_window_view(padded, (window, window), (0, 1)).max((3, 4))
        for dtype in ("float32", "float16"):
            if _native.has_kernels("pooling", dtype, tier):
                got = run_node(
                    "window_max", [x], shape, tier=tier, dtype=dtype, gap=3, threads=3, window=window
                )
                np.testing.assert_array_equal(got, expected, err_msg=dtype)


def test_windows_are_odd() -> None:
    with pytest.raises(ValueError, match="odd window"):
        run_node("window_max", [make(4, 4, 1)], (4, 4, 1), tier="ref", window=2)


def test_an_unknown_tier_is_named() -> None:
    with pytest.raises(ValueError, match="unknown tier 'sse9'; supported here: ref"):
        kernels.pool(np.zeros((2, 2, 1), np.float32), 1, 1, True, tier="sse9")
