"""Winograd's 3x3 convolutions with every tile: `ref` against the definition, every tier against `ref`."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native
from tests.support.definitions import (
    SIZES,
    TIERS,
    check_tiers,
    convolve,
    spaced,
)
from tests.support.kernel_bindings import kernels

#: Outputs on each side of Winograd's tiles, with the largest error as a share of the largest output.
TILES = {4: 3e-5, 6: 3e-5, 8: 1.5e-4}


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("seed", range(60))
def test_conv3x3(seed: int, tile: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 17, 23])) for _ in range(2))
    channels, out_channels = (int(rng.choice(SIZES[:13])) for _ in range(2))
    x = spaced(rng, (height, width, channels), int(rng.choice([0, 1, 8])))
    weight = rng.standard_normal((out_channels, channels, 3, 3), dtype=np.float32)
    want = convolve(x, weight)
    check_tiers(
        lambda **options: kernels.conv3x3(x, weight, winograd_tile=tile, **options), want, rng, TILES[tile]
    )


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


def test_wrong_arguments_are_named() -> None:
    x, weight = np.zeros((4, 4, 6), np.float32), np.zeros((2, 6, 3, 3), np.float32)
    with pytest.raises(ValueError, match="out"):
        kernels.conv3x3(x, weight, out=np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="winograd_tile: expected 4, 6 or 8, got 5"):
        kernels.conv3x3(x, weight, 5)
