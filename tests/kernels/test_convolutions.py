"""Convolution and matrix kernels: `ref` against its definition in NumPy, every tier against `ref`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from tests.support.kernel_bindings import kernels

Array = NDArray[np.float32]
SIZES = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97]
ACTIVATIONS = [None, "relu", "relu6", "hard_sigmoid", "silu"]
TIERS = _native.supported_tiers()
POISON = np.float32(-12345.5)

#: Outputs on each side of Winograd's tiles, with the largest error as a share of the largest output.
TILES = {4: 3e-5, 6: 3e-5, 8: 1.5e-4}


def activate(x: NDArray[np.float64], activation: str | None) -> NDArray[np.float64]:
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "relu6":
        return np.clip(x, 0, 6)
    if activation == "hard_sigmoid":
        return np.clip(x + 3, 0, 6) / 6
    if activation == "silu":
        return x / (1 + np.exp(-x))
    return x


def convolve(x: NDArray[Any], weight: Array, stride: int = 1, groups: int = 1) -> NDArray[np.float64]:
    """The definition: x (H, W, C), weight (O, C / groups, k, k), padding k // 2 -> (H', W', O)."""
    out_channels, group_in, k, _ = weight.shape
    padded = np.pad(x.astype(np.float64), ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(0, 1))[::stride, ::stride]
    height, width = windows.shape[:2]
    grouped = windows.reshape(height, width, groups, group_in, k, k)
    filters = weight.astype(np.float64).reshape(groups, out_channels // groups, group_in, k, k)
    return np.einsum("hwgcyx,gocyx->hwgo", grouped, filters).reshape(height, width, out_channels)


def spaced(rng: np.random.Generator, shape: tuple[int, ...], extra: int) -> Array:
    """Random values whose pixels lie `extra` floats further apart than they are long."""
    whole = rng.standard_normal((*shape[:-1], shape[-1] + extra), dtype=np.float32)
    return whole[..., : shape[-1]]


class Poisoned:
    """A view to write to, with known values around it and between its rows."""

    def __init__(self, shape: tuple[int, ...], extra: int) -> None:
        ld = shape[-1] + extra
        rows = int(np.prod(shape[:-1]))
        self.memory = np.full(rows * ld + 34, POISON, np.float32)
        self.out = self.memory[17 : 17 + rows * ld].reshape(*shape[:-1], ld)[..., : shape[-1]]
        self.columns, self.ld = shape[-1], ld

    def assert_untouched_around(self) -> None:
        inner = self.memory[17:-17].reshape(-1, self.ld)
        assert (self.memory[:17] == POISON).all()
        assert (self.memory[-17:] == POISON).all()
        assert (inner[:, self.columns :] == POISON).all()


def check(
    run: Callable[..., Array], sums: NDArray[np.float64], rng: np.random.Generator, tolerance: float
) -> None:
    """Compares run(**options) with `sums` and a random epilogue: on every tier, whole and in parts."""
    extra = int(rng.choice([0, 1, 5, 16]))
    bias = rng.standard_normal(sums.shape[-1], dtype=np.float32) if rng.random() < 0.7 else None
    residual = spaced(rng, sums.shape, int(rng.choice([0, 3]))) if rng.random() < 0.5 else None
    activation = ACTIVATIONS[rng.integers(4)]
    want = activate(sums + (0 if bias is None else bias), activation) + (0 if residual is None else residual)
    scale = 1 + np.abs(sums).max()
    for tier in TIERS:
        whole: Array | None = None
        for parts in (1, 2, 3, 7):
            target = Poisoned(sums.shape, extra)
            result = run(
                bias=bias, activation=activation, residual=residual, out=target.out, parts=parts, tier=tier
            )
            target.assert_untouched_around()
            if whole is None:
                whole = result.copy()
                error = np.abs(whole - want).max() / scale
                assert error <= (1e-6 if tier == "ref" else tolerance), (tier, error)
            assert np.array_equal(result, whole), (tier, parts)


@pytest.mark.parametrize("seed", range(60))
def test_gemm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = (int(rng.choice(SIZES)) for _ in range(3))
    a = spaced(rng, (m, k), int(rng.choice([0, 1, 7])))
    weight = rng.standard_normal((n, k), dtype=np.float32)
    sums = np.einsum("mk,nk->mn", a.astype(np.float64), weight.astype(np.float64))
    check(lambda **options: kernels.gemm(a, weight, **options), sums, rng, 1e-5)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("seed", range(60))
def test_conv3x3(seed: int, tile: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 17, 23])) for _ in range(2))
    channels, out_channels = (int(rng.choice(SIZES[:13])) for _ in range(2))
    x = spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8])))
    weight = rng.standard_normal((out_channels, channels, 3, 3), dtype=np.float32)
    want = convolve(x, weight)
    check(lambda **options: kernels.conv3x3(x, weight, winograd_tile=tile, **options), want, rng, TILES[tile])


@pytest.mark.parametrize(("tile", "most"), [(4, 1e-4), (6, 1e-4), (8, 6e-4)])
@pytest.mark.parametrize("channels", [64, 128, 256])
@pytest.mark.parametrize("tier", TIERS[1:])
def test_conv3x3_error_at_the_networks_widths(tier: str, channels: int, tile: int, most: float) -> None:
    rng = np.random.default_rng(channels)
    x = np.maximum(rng.standard_normal((20, 20, channels), dtype=np.float32), 0)
    weight = rng.standard_normal((channels, channels, 3, 3), dtype=np.float32) * np.sqrt(2 / (9 * channels))
    weight = weight.astype(np.float32)
    direct = kernels.conv_direct(x, weight, tier=tier)
    found = kernels.conv3x3(x, weight, winograd_tile=tile, tier=tier)
    assert np.abs(found - direct).max() < most


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("tier", TIERS[1:])
def test_conv3x3_in_several_blocks_of_tiles(tier: str, tile: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 38, 128), dtype=np.float32)
    weight = rng.standard_normal((5, 128, 3, 3), dtype=np.float32)
    bias = rng.standard_normal(5, dtype=np.float32)
    want = kernels.conv_direct(x, weight, bias=bias, tier=tier)
    got = kernels.conv3x3(x, weight, tile, bias=bias, tier=tier)
    np.testing.assert_allclose(got, want, rtol=0, atol=TILES[tile] * np.abs(want).max())
    assert np.array_equal(kernels.conv3x3(x, weight, tile, bias=bias, parts=3, tier=tier), got)


@pytest.mark.parametrize("tier", TIERS)
def test_conv3x3_in_larger_blocks_for_large_weights(tier: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((55, 50, 208), dtype=np.float32)  # 49 tiles, 17 MB of transformed weights
    weight = rng.standard_normal((208, 208, 3, 3), dtype=np.float32)
    want = kernels.conv_direct(x, weight, tier=tier)
    got = kernels.conv3x3(x, weight, 8, tier=tier)
    np.testing.assert_allclose(got, want, rtol=0, atol=TILES[8] * np.abs(want).max())
    assert np.array_equal(kernels.conv3x3(x, weight, 8, parts=2, tier=tier), got)


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((80, 80), 8),
        ((64, 64), 8),
        ((45, 80), 8),
        ((40, 40), 8),
        ((32, 32), 8),
        ((32, 25), 4),
        ((36, 36), 6),
        ((24, 24), 6),
        ((20, 20), 4),
        ((10, 10), 4),
        ((1, 1), 4),
    ],
    ids=str,
)
def test_conv3x3_takes_tiles_that_suit_the_map(size: tuple[int, int], tile: int) -> None:
    assert _native.winograd_tile(*size) == tile
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*size, 8), dtype=np.float32)
    weight = rng.standard_normal((4, 8, 3, 3), dtype=np.float32)
    found = kernels.conv3x3(x, weight)
    assert np.array_equal(kernels.conv3x3(x, weight, tile), found)
    if _native.tier() != "ref" and size != (1, 1):
        for other in set(TILES) - {tile}:
            assert not np.array_equal(kernels.conv3x3(x, weight, other), found)


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
    check(lambda **options: kernels.depthwise(x, weight, stride, **options), sums, rng, 1e-5)


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
        activation = ACTIVATIONS[width % 4]
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
    check(lambda **options: kernels.conv_direct(x, weight, stride, groups, **options), sums, rng, 1e-5)


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
    inner = ACTIVATIONS[seed % 4]

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

    check(run, sums, rng, 3e-5)


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


def test_wrong_arguments_are_named() -> None:
    a, x = np.zeros((4, 3), np.float32), np.zeros((4, 4, 6), np.float32)
    with pytest.raises(ValueError, match="weight"):
        kernels.gemm(a, np.zeros((2, 4), np.float32))
    with pytest.raises(TypeError, match=r"a: .*float32"):
        kernels.gemm(a.astype(np.float64), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="bias"):
        kernels.gemm(a, np.zeros((2, 3), np.float32), bias=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="out"):
        kernels.conv3x3(x, np.zeros((2, 6, 3, 3), np.float32), out=np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="winograd_tile: expected 4, 6 or 8, got 5"):
        kernels.conv3x3(x, np.zeros((2, 6, 3, 3), np.float32), 5)
    with pytest.raises(ValueError, match="groups"):
        kernels.conv_direct(x, np.zeros((2, 6, 3, 3), np.float32), groups=4)
    with pytest.raises(ValueError, match="odd"):
        kernels.depthwise(x, np.zeros((6, 1, 2, 2), np.float32))
    with pytest.raises(ValueError, match="stride"):
        kernels.depthwise(x, np.zeros((6, 1, 3, 3), np.float32), 0)
    with pytest.raises(ValueError, match="tier"):
        kernels.gemm(a, np.zeros((2, 3), np.float32), tier="sse")
