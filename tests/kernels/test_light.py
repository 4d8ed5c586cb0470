"""The light kernels of every tier against plain NumPy statements of their definitions, at awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from tests.support.kernel_bindings import kernels

Array = NDArray[np.float32]

TIERS = _native.supported_tiers()
CHANNELS = (1, 3, 4, 7, 8, 9, 16, 17, 33, 64, 65, 97)
WAYS = ((0, 1), (5, 3))  # (padding after each pixel, parts that the work is split into)


def make(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def activate(x: NDArray[np.float64], activation: str | None) -> NDArray[np.float64]:
    if activation is None:
        return x
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "relu6":
        return np.clip(x, 0, 6)
    if activation == "silu":
        return x / (1 + np.exp(-x))
    return np.clip(x + 3, 0, 6) / 6


def taps(out: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    source = np.maximum((np.arange(out) + 0.5) * size / out - 0.5, 0)
    low = np.minimum(source.astype(int), size - 1)
    return low, np.minimum(low + 1, size - 1), source - low


def bilinear(x: Array, height: int, width: int) -> NDArray[np.float64]:
    x = x.astype(np.float64)
    low, high, weight = taps(height, x.shape[0])
    x = x[low] + (x[high] - x[low]) * weight[:, None, None]
    low, high, weight = taps(width, x.shape[1])
    return x[:, low] + (x[:, high] - x[:, low]) * weight[:, None]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("op", ["copy", "add", "multiply", "multiply_add"])
@pytest.mark.parametrize("activation", [None, "relu", "relu6", "hard_sigmoid", "silu"])
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
        resized = bilinear(x, *out)
        cases = (
            (None, None, resized),
            (local, None, local + resized),
            (local, shift, local * resized + bilinear(shift, *out)),
        )
        for padding, parts in WAYS:
            for given_local, given_shift, expected in cases:
                got = kernels.resize(
                    x, *out, given_local, given_shift, tier=tier, padding=padding, parts=parts
                )
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        got = kernels.resize(x, *out, local, activation="relu6", tier=tier)
        np.testing.assert_allclose(got, activate(local + resized, "relu6"), rtol=1e-5, atol=1e-5)


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
@pytest.mark.parametrize("rows", [1, 3, 4, 7, 8, 31, 32, 33, 41, 96])
def test_transpose(tier: str, rows: int) -> None:
    for columns in (1, 2, 3, 4, 5, 8, 9, 17, 100):
        x = make(rows, columns)
        for padding, _ in WAYS:
            assert np.array_equal(kernels.transpose(x, tier=tier, padding=padding), x.T)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("channels", [2, *CHANNELS[1:], 256])
def test_layer_norm(tier: str, channels: int) -> None:
    x = 3 * make(6, channels) + 10
    weight, bias = make(channels, seed=1), make(channels, seed=2)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight + bias
    for padding, parts in WAYS:
        got = kernels.layer_norm(x, weight, bias, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tier", TIERS)
def test_layer_norm_of_a_constant_row_is_its_bias(tier: str) -> None:
    bias = make(20)
    got = kernels.layer_norm(np.full((2, 20), 5, np.float32), make(20, seed=1), bias, tier=tier)
    np.testing.assert_allclose(got, np.stack([bias, bias]), atol=1e-5)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("queries", "keys", "heads", "key_dim", "value_dim"),
    [
        (1, 1, 1, 1, 1),
        (3, 2, 2, 3, 5),
        (5, 9, 4, 16, 32),
        (10, 33, 8, 8, 8),
        (7, 16, 1, 20, 40),
        (4, 100, 3, 16, 17),
    ],
)
def test_attention(tier: str, queries: int, keys: int, heads: int, key_dim: int, value_dim: int) -> None:
    q, k = make(queries, heads * key_dim), make(keys, heads * key_dim, seed=1)
    v = make(keys, heads * value_dim, seed=2)
    scale = 1.5 / np.sqrt(key_dim)
    expected = np.empty((queries, heads * value_dim))
    for head in range(heads):
        part = slice(head * key_dim, (head + 1) * key_dim)
        scores = scale * (q[:, part].astype(np.float64) @ k[:, part].T)
        weights = np.exp(scores - scores.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        part = slice(head * value_dim, (head + 1) * value_dim)
        expected[:, part] = weights @ v[:, part]
    for padding, parts in WAYS:
        for activation in (None, "relu6"):
            got = kernels.attention(
                q, k, v, heads, scale, activation=activation, tier=tier, padding=padding, parts=parts
            )
            np.testing.assert_allclose(got, activate(expected, activation), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_attention_with_extreme_scores_stays_finite(tier: str, sign: float) -> None:
    q = np.full((2, 4), 100 * sign, np.float32)
    k = np.arange(5, dtype=np.float32)[:, None] * np.ones(4, np.float32)
    v = make(5, 4)
    got = kernels.attention(q, k, v, 1, 1.0, tier=tier)
    np.testing.assert_allclose(got, np.stack([v[4 if sign > 0 else 0]] * 2), atol=1e-6)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("count", [1, 2, 7, 16, 33])
@pytest.mark.parametrize(("pixels", "channels"), [(1, 1), (95, 24), (97, 128), (200, 7)])
def test_mask_product(tier: str, count: int, pixels: int, channels: int) -> None:
    weights, features = make(count, channels), make(pixels, channels, seed=1)
    bias = make(count, 1, seed=2)[:, 0]
    expected = weights.astype(np.float64) @ features.T
    for padding, parts in WAYS:
        got = kernels.mask_product(weights, features, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        got = kernels.mask_product(weights, features, bias=bias, tier=tier, padding=padding, parts=parts)
        np.testing.assert_allclose(got, expected + bias[:, None], rtol=1e-4, atol=1e-4)


def test_arguments_are_checked() -> None:
    with pytest.raises(
        TypeError, match=r"a: expected a float32 array of shape \(any, any\), got dtype float64"
    ):
        kernels.elementwise("add", np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"b: expected a float32 array of shape \(2, 3\).*got \(2, 2\)"):
        kernels.elementwise("add", np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="op: expected 'copy'"):
        kernels.elementwise("minus", np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="heads: expected a divisor of 4 and 4, got 3"):
        kernels.attention(*[np.zeros((2, 4), np.float32)] * 3, 3, 1.0)
    with pytest.raises(ValueError, match="unknown tier 'sse9'; supported here: ref"):
        kernels.pool(np.zeros((2, 2, 1), np.float32), 1, 1, True, tier="sse9")
    with pytest.raises(ValueError, match="activation: expected None, 'relu'"):
        kernels.elementwise("copy", np.zeros((2, 2), np.float32), activation="tanh")
