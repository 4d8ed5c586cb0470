"""Kernels in half precision: `ref` against the definition, every tier against `ref`, at awkward sizes.

`ref` sums in double precision and rounds what it stores. The other tiers round every step; what they may
differ by is given in units of the largest output.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mobileinst import _native
from tests.support.definitions import ACTIVATIONS, CHANNELS, SIZES, Array, Poisoned, spaced
from tests.support.kernel_bindings import kernels

TIERS = [tier for tier in _native.supported_tiers() if _native.has_kernels("gemm", "float16", tier)]

ROUNDING = 2.0**-11  # of one result, relative
LEAST = 2.0**-24  # the smallest half


def halves(x: Array) -> Array:
    """Rounded to what halves can hold, with their spacing in memory."""
    x[...] = x.astype(np.float16)
    return x


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return halves(rng.standard_normal(shape, dtype=np.float32))


def scaled(rng: np.random.Generator, fan_in: int, *shape: int) -> Array:
    """Weights that keep the outputs' size, as those of trained layers do."""
    return halves(normal(rng, *shape) / np.float32(fan_in) ** np.float32(0.5))


def check(run: Callable[..., Array], tolerance: float) -> None:
    """run(tier, dtype, parts) on every tier: like floats on `ref`, like `ref` elsewhere, for any split."""
    floats = run(tier="ref", dtype="float32", parts=1)
    expected = run(tier="ref", dtype="float16", parts=1)
    error = np.abs(expected - floats)
    assert (error <= 3 * ROUNDING * (np.abs(floats) + np.abs(floats).max()) + LEAST).all()
    for tier in TIERS:
        whole = run(tier=tier, dtype="float16", parts=1)
        assert np.abs(whole - expected).max() <= tolerance * max(1.0, np.abs(expected).max()), tier
        assert np.array_equal(run(tier=tier, dtype="float16", parts=3), whole), tier


def check_convolution(
    rng: np.random.Generator, run: Callable[..., Array], shape: tuple[int, ...], tolerance: float
) -> None:
    """The same with a random epilogue and poison around the output."""
    extra = int(rng.choice([0, 1, 5, 16]))
    bias = normal(rng, shape[-1]) if rng.random() < 0.7 else None
    residual = halves(spaced(rng, shape, int(rng.choice([0, 3])))) if rng.random() < 0.5 else None
    activation = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]

    def with_epilogue(**options: Any) -> Array:
        target = Poisoned(shape, extra)
        result = run(bias=bias, residual=residual, activation=activation, out=target.out, **options)
        target.assert_untouched_around()
        return result.copy()

    check(with_epilogue, tolerance)


@pytest.mark.parametrize("seed", range(40))
def test_gemm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = (int(rng.choice(SIZES)) for _ in range(3))
    a = halves(spaced(rng, (m, k), int(rng.choice([0, 1, 7]))))
    weight = scaled(rng, k, n, k)
    check_convolution(rng, lambda **options: kernels.gemm(a, weight, **options), (m, n), 8e-3)


@pytest.mark.parametrize("tile", [4, 6, 8])
@pytest.mark.parametrize("seed", range(8))
def test_conv3x3(tile: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 5, 8, 9, 13, 17])) for _ in range(2))
    inputs, outputs = (int(rng.choice(SIZES)) for _ in range(2))
    x = halves(spaced(rng, (height, width, inputs), int(rng.choice([0, 1, 8]))))
    weight = scaled(rng, 9 * inputs, outputs, inputs, 3, 3)
    check_convolution(
        rng,
        lambda **options: kernels.conv3x3(x, weight, tile, **options),
        (height, width, outputs),
        3e-2,
    )


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([3, 5, 7], [1, 2])))
@pytest.mark.parametrize("seed", range(8))
def test_depthwise(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 7, 9, 16, 21])) for _ in range(2))
    channels = int(rng.choice([*CHANNELS, 32, 96]))
    x = halves(spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8]))))
    weight = scaled(rng, kernel * kernel, channels, 1, kernel, kernel)
    shape = ((height - 1) // stride + 1, (width - 1) // stride + 1, channels)
    check_convolution(rng, lambda **options: kernels.depthwise(x, weight, stride, **options), shape, 8e-3)


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(3, 2, 1), (1, 2, 1), (5, 1, 1), (3, 1, 2), (3, 2, 3)]
)
@pytest.mark.parametrize("seed", range(6))
def test_conv_direct(kernel: int, stride: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 5, 9, 17])) for _ in range(2))
    group_in, group_out = (int(rng.choice([1, 3, 4, 9, 16, 33])) for _ in range(2))
    x = halves(spaced(rng, (height, width, group_in * groups), int(rng.choice([0, 0, 5]))))
    weight = scaled(rng, group_in * kernel**2, group_out * groups, group_in, kernel, kernel)
    shape = ((height - 1) // stride + 1, (width - 1) // stride + 1, group_out * groups)
    check_convolution(
        rng, lambda **options: kernels.conv_direct(x, weight, stride, groups, **options), shape, 1.5e-2
    )


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product([3, 5], [1, 2])))
@pytest.mark.parametrize("seed", range(6))
def test_inverted_residual(kernel: int, stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 8, 9, 33])) for _ in range(2))
    channels, out_channels = (int(rng.choice(SIZES[:13])) for _ in range(2))
    hidden = channels if seed % 3 == 0 else int(rng.choice(SIZES))
    x = halves(spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8]))))
    expand = None if seed % 3 == 0 else scaled(rng, channels, hidden, channels)
    filters = scaled(rng, kernel**2, hidden, 1, kernel, kernel)
    project = scaled(rng, hidden, out_channels, hidden)
    biases = normal(rng, 2, hidden)
    shape = ((height - 1) // stride + 1, (width - 1) // stride + 1, out_channels)
    check_convolution(
        rng,
        lambda **options: kernels.inverted_residual(
            x, expand, filters, project, stride, biases[0], biases[1], "relu6", **options
        ),
        shape,
        1.5e-2,
    )


@pytest.mark.parametrize("op", ["copy", "add", "multiply", "multiply_add"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_elementwise(op: str, activation: str | None, channels: int) -> None:
    rng = np.random.default_rng(channels)
    a, b, c = (normal(rng, 5, channels) * np.float32(4) for _ in range(3))
    check(lambda **how: kernels.elementwise(op, a, b, c, activation=activation, padding=3, **how), 6e-3)


@pytest.mark.parametrize("value", [-60000.0, -300.0, -20.0, -9.7, -1e-4, 0.0, 1e-4, 9.7, 20.0, 60000.0])
def test_silu_of_any_half_is_finite(value: float) -> None:
    x = np.full((3, 33), value, np.float32)
    expected = value / (1 + np.exp(min(-value, 700.0)))
    for tier in TIERS:
        y = kernels.elementwise("copy", x, activation="silu", tier=tier, dtype="float16")
        np.testing.assert_allclose(y, expected, rtol=4e-3, atol=2e-5 * abs(value))


@pytest.mark.parametrize("mode", ["plain", "add", "multiply_add"])
@pytest.mark.parametrize("channels", [1, 7, 8, 33, 64])
def test_resize(mode: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    x, shift = normal(rng, 5, 7, channels), normal(rng, 5, 7, channels)
    local = None if mode == "plain" else normal(rng, 11, 9, channels)
    check(
        lambda **how: kernels.resize(
            x, 11, 9, local, shift if mode == "multiply_add" else None, padding=5, **how
        ),
        4e-3,
    )


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("channels", [1, 7, 8, 33, 64])
def test_pool(average: bool, channels: int) -> None:
    x = normal(np.random.default_rng(channels), 13, 9, channels)
    check(lambda **how: kernels.pool(x, 4, 5, average, padding=5, **how), 1e-3)


@pytest.mark.parametrize("channels", [1, 7, 8, 33, 128])
def test_layer_norm(channels: int) -> None:
    rng = np.random.default_rng(channels)
    x, weight, bias = normal(rng, 9, channels) * np.float32(30), normal(rng, channels), normal(rng, channels)
    check(lambda **how: kernels.layer_norm(x, weight, bias, padding=5, **how), 1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (5, 7, 2, 3, 6), (7, 5, 4, 16, 32), (3, 20, 6, 24, 48)])
def test_axial_attention(shape: tuple[int, int, int, int, int]) -> None:
    height, width, heads, key_dim, value_dim = shape
    rng = np.random.default_rng(height)
    keys, values = heads * key_dim, heads * value_dim
    axes = {
        axis: {
            "query": normal(rng, length, keys),
            "key": normal(rng, length, keys),
            "weight": scaled(rng, values, values, values),
            "bias": normal(rng, values),
        }
        for axis, length in (("rows", height), ("columns", width))
    }
    q, k, v = (normal(rng, height, width, n) for n in (keys, keys, values))
    check(
        lambda **how: kernels.axial_attention(q, k, v, heads, key_dim**-0.5, **axes, padding=3, **how), 2e-3
    )


def test_unknown_types_are_refused() -> None:
    with pytest.raises(ValueError, match="dtype"):
        kernels.gemm(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), dtype="float64")
