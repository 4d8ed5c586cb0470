"""Operations defined in plain NumPy, and inputs and outputs at awkward sizes, for the tests of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native

Array = NDArray[np.float32]
TIERS = _native.supported_tiers()
ACTIVATIONS = [None, "relu", "relu6", "hard_sigmoid", "silu"]
SIZES = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97]
CHANNELS = (1, 3, 4, 7, 8, 9, 16, 17, 33, 64, 65, 97)
WAYS = ((0, 1), (5, 3))  # (padding after each pixel, parts that the work is split into)
POISON = np.float32(-12345.5)


def make(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def spaced(rng: np.random.Generator, shape: tuple[int, ...], extra: int) -> Array:
    """Random values whose pixels lie `extra` floats further apart than they are long."""
    whole = rng.standard_normal((*shape[:-1], shape[-1] + extra), dtype=np.float32)
    return whole[..., : shape[-1]]


def activate(x: NDArray[np.float64], activation: str | None) -> NDArray[np.float64]:
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "relu6":
        return np.clip(x, 0, 6)
    if activation == "silu":
        return x / (1 + np.exp(-x))
    if activation == "hard_sigmoid":
        return np.clip(x + 3, 0, 6) / 6
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


def bilinear(x: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Half-pixel interpolation of (H, W) or (H, W, C), along x and then along y, in the precision of `x`."""
    low, high, weight = _taps(width, x.shape[1], x.dtype)
    weight = weight.reshape(-1, *[1] * (x.ndim - 2))
    x = x[:, low] + (x[:, high] - x[:, low]) * weight
    low, high, weight = _taps(height, x.shape[0], x.dtype)
    return np.asarray(x[low] + (x[high] - x[low]) * weight.reshape(-1, *[1] * (x.ndim - 1)))


def _taps(out: int, size: int, dtype: Any) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    source = np.maximum((np.arange(out) + 0.5) * size / out - 0.5, 0)
    low = np.minimum(source.astype(np.intp), size - 1)
    return low, np.minimum(low + 1, size - 1), np.where(low == size - 1, 0, source - low).astype(dtype)


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


def check_tiers(
    run: Callable[..., Array], sums: NDArray[np.float64], rng: np.random.Generator, tolerance: float
) -> None:
    """Compares run(**options) with `sums` and a random epilogue: on every tier, whole and in parts."""
    extra = int(rng.choice([0, 1, 5, 16]))
    bias = rng.standard_normal(sums.shape[-1], dtype=np.float32) if rng.random() < 0.7 else None
    residual = spaced(rng, sums.shape, int(rng.choice([0, 3]))) if rng.random() < 0.5 else None
    activation = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
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
