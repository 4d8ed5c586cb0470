"""The NumPy-level operations against statements of their definitions, over random shapes."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.random_weights import random_tensors

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileinst import ops
from mobileinst.network import ModelConfig
from mobileinst.network.ops import NORM_EPS

sides = st.integers(1, 17)
channels = st.integers(1, 37)
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from([None, "relu", "relu6", "hard_sigmoid"])
quick = settings(max_examples=40, deadline=None)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def activated(x: np.ndarray, activation: str | None) -> np.ndarray:
    if activation == "hard_sigmoid":
        return np.clip(x + 3, 0, 6) / 6
    return np.clip(x, {None: -np.inf}.get(activation, 0), 6 if activation == "relu6" else np.inf)


def convolution(x, weight, bias, stride, groups) -> np.ndarray:
    """The sum over the window, in double precision."""
    outputs, per_group, size, _ = weight.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))[:, ::stride, ::stride]
    result = [
        np.einsum("ihwkl,ikl->hw", windows[o // (outputs // groups) * per_group :][:per_group], weight[o])
        for o in range(outputs)
    ]
    return np.stack(result) + (0 if bias is None else bias[:, None, None])


@pytest.mark.parametrize(
    "name",
    [
        "network.position",
        "ops.attentions",
        "ops.convolutions",
        "ops.interpreter",
        "ops.maps",
        "tracking.association",
    ],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"mobileinst.{name}"), extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0


def test_every_operation_has_an_example() -> None:
    for name in ops.__all__:
        text = getattr(ops, name).__doc__
        assert ">>>" in text, name


@quick
@given(
    sides, sides, st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 3), st.booleans(), activations, seeds,
)  # fmt: skip
def test_grouped_convolution(height, width, groups, inputs, outputs, size, stride, bias, activation, seed):
    x = normal(seed, groups * inputs, height, width)
    weight = normal(seed, groups * outputs, inputs, size, size) / size
    shift = normal(seed, groups * outputs) if bias else None
    found = ops.conv2d(x, weight, shift, stride=stride, groups=groups, activation=activation)
    expected = activated(convolution(x, weight, shift, stride, groups), activation)
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=2e-5)


@quick
@given(sides, sides, channels, st.sampled_from([3, 5]), st.integers(1, 2), seeds)
def test_depthwise_convolution(height, width, count, size, stride, seed):
    x, weight = normal(seed, count, height, width), normal(seed, count, 1, size, size)
    found = ops.conv2d(x, weight, stride=stride, groups=count)
    np.testing.assert_allclose(found, convolution(x, weight, None, stride, count), atol=1e-4, rtol=1e-5)


@quick
@given(st.integers(1, 3), sides, sides, channels, channels, st.sampled_from([1, 3]), seeds)
def test_batches_strides_and_out(batch, height, width, inputs, outputs, size, seed):
    x = normal(seed, batch, inputs, 2 * height, width)[:, :, ::2]
    weight = normal(seed, outputs, inputs, size, size)
    kept = x.copy()
    out = np.full((batch, outputs, height, width), np.nan, np.float32)
    assert ops.conv2d(x, weight, out=out) is out
    assert np.array_equal(x, kept)
    for image, found in zip(x, out, strict=True):
        assert np.array_equal(ops.conv2d(image, weight), found)
        scale = np.abs(weight).sum((1, 2, 3)).max()
        expected = convolution(image, weight, None, 1, 1)
        np.testing.assert_allclose(found, expected, atol=3e-6 * scale * 4, rtol=1e-5)


@quick
@given(st.integers(1, 40), channels, channels, activations, seeds)
def test_linear(rows, inputs, outputs, activation, seed):
    x, weight, bias = normal(seed, rows, inputs), normal(seed, outputs, inputs), normal(seed, outputs)
    expected = activated(x.astype(np.float64) @ weight.T + bias, activation)
    out = np.empty((rows, outputs), np.float32)
    assert ops.linear(x, weight, bias, activation=activation, out=out) is out
    np.testing.assert_allclose(out, expected, atol=5e-5, rtol=1e-5)


@quick
@given(channels, channels, st.sampled_from([1, 3]), st.booleans(), seeds)
def test_folded_batch_norm(inputs, outputs, size, with_bias, seed):
    x, weight = normal(seed, inputs, 6, 5), normal(seed, outputs, inputs, size, size) / size
    bias = normal(seed, outputs) if with_bias else None
    gamma, beta, mean, noise = (normal(seed + i, outputs) for i in range(1, 5))
    variance = noise**2 + np.float32(0.1)
    plain = convolution(x, weight, bias, 1, 1)
    shape = (outputs, 1, 1)
    scale = gamma.reshape(shape) / np.sqrt(variance.reshape(shape) + NORM_EPS)
    expected = (plain - mean.reshape(shape)) * scale + beta.reshape(shape)
    folded = ops.fold_batch_norm(weight, bias, gamma, beta, mean, variance)
    assert all(x.dtype == np.float32 for x in folded)
    np.testing.assert_allclose(convolution(x, *folded, 1, 1), expected, atol=1e-4, rtol=1e-4)


@quick
@given(st.integers(1, 40), st.integers(1, 300), seeds)
def test_layer_norm(rows, count, seed):
    x, weight, bias = normal(seed, rows, count) * 3 + 1, normal(seed, count), normal(seed + 1, count)
    wide = x.astype(np.float64)
    deviation = wide - wide.mean(1, keepdims=True)
    expected = deviation / np.sqrt((deviation**2).mean(1, keepdims=True) + NORM_EPS) * weight + bias
    np.testing.assert_allclose(ops.layer_norm(x, weight, bias), expected, atol=1e-4, rtol=1e-4)


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attended(q, k, v, heads, scale) -> np.ndarray:
    split = [np.split(x.astype(np.float64), heads, 1) for x in (q, k, v)]
    return np.concatenate([softmax(scale * a @ b.T) @ c for a, b, c in zip(*split, strict=True)], 1)


@quick
@given(
    st.integers(1, 20), st.integers(1, 40), st.integers(1, 5), st.integers(1, 20), st.integers(1, 20),
    st.sampled_from([None, 1.0]), seeds,
)  # fmt: skip
def test_attention(queries, keys, heads, key_dim, value_dim, scale, seed):
    q, k = normal(seed, queries, heads * key_dim), normal(seed + 1, keys, heads * key_dim)
    v = normal(seed, keys, heads * value_dim)
    found = ops.attention(q, k, v, heads, scale)
    expected = attended(q, k, v, heads, key_dim**-0.5 if scale is None else scale)
    np.testing.assert_allclose(found, expected, atol=3e-5, rtol=1e-4)


@quick
@given(sides, sides, st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), seeds)
def test_axial_attention(height, width, heads, key_dim, value_dim, seed):
    keys, values = heads * key_dim, heads * value_dim
    q, k, v = (normal(seed + i, n, height, width) for i, n in enumerate((keys, keys, values)))
    positions = [normal(seed + i, keys, 16) for i in range(3, 7)]
    layers = [(normal(seed + i, values, values) / values, normal(seed + i, values)) for i in (7, 8)]
    found = ops.axial_attention(
        q, k, v, heads, row_positions=(positions[0], positions[1]),
        column_positions=(positions[2], positions[3]), row_layer=layers[0], column_layer=layers[1],
    )  # fmt: skip
    expected = v.astype(np.float64)
    for axis, length, tables, (weight, bias) in (
        (2, height, positions[:2], layers[0]),
        (1, width, positions[2:], layers[1]),
    ):
        a, b, c = (x.mean(axis, dtype=np.float64).T for x in (q, k, v))
        a, b = (
            x + np.stack([stretched(row, length) for row in t]).T for x, t in ((a, tables[0]), (b, tables[1]))
        )
        mixed = np.clip(attended(a, b, c, heads, key_dim**-0.5), 0, 6)
        expected = expected + np.expand_dims((mixed @ weight.T + bias).T, axis)
    np.testing.assert_allclose(found, np.clip(expected, 0, 6), atol=1e-4, rtol=1e-4)


def stretched(row: np.ndarray, length: int) -> np.ndarray:
    """Linear interpolation with half-pixel centres and clamped edges."""
    at = (np.arange(length) + 0.5) * len(row) / length - 0.5
    return np.interp(at, np.arange(len(row)), row)


@pytest.mark.parametrize("size", [(5, 7), (20, 3), (1, 1)])
def test_squeeze_axial_attention_is_the_block_of_seaformer(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    from mobileinst.network.backbones import seaformer
    from weights_tools.torch_ops import MobileInst, TorchOps, load_state

    config = ModelConfig("seaformer_t", width=16, queries=2, hidden=16, ffn=16, heads=2, kernel_dim=8)
    tensors = random_tensors(config)
    model = MobileInst(config).eval()
    load_state(model, tensors)
    name = "backbone.trans2.transformer_blocks.1.attn"
    x = normal(3, 160, *size)
    stage = seaformer.SEAFORMER["seaformer_t"].transformers[5]
    with torch.no_grad():
        expected = seaformer.axial_attention(TorchOps(model), torch.from_numpy(x)[None], name, stage)[
            0
        ].numpy()
    found = ops.squeeze_axial_attention(x, tensors, stage.heads, stage.key_dim, prefix=f"{name}.")
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@quick
@given(sides, sides, sides, sides, channels, seeds)
def test_pooling_and_resize_like_pytorch(height, width, out_height, out_width, count, seed):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, size = normal(seed, count, height, width), (out_height, out_width)
    tensor = torch.from_numpy(x)[None]
    definitions: list[tuple[Callable[..., Any], Any]] = [
        (ops.adaptive_average_pool, functional.adaptive_avg_pool2d(tensor, size)),
        (ops.adaptive_max_pool, functional.adaptive_max_pool2d(tensor, size)),
        (ops.resize_bilinear, functional.interpolate(tensor, size, mode="bilinear", align_corners=False)),
    ]
    for operation, expected in definitions:
        out = np.full((count, *size), np.nan, np.float32)
        assert operation(x, size, out=out) is out
        np.testing.assert_allclose(out, expected[0].numpy(), atol=1e-5, err_msg=operation.__name__)


@quick
@given(st.lists(st.integers(0, 6), max_size=4), seeds)
def test_activations_of_any_shape(shape, seed):
    x = np.asarray(normal(seed, *shape) * 5, np.float32)
    for name in ("relu", "relu6", "hard_sigmoid"):
        operation = getattr(ops, name)
        found = operation(x)
        assert found.shape == x.shape
        np.testing.assert_allclose(found, activated(x, name), atol=1e-6)
        copy = x.copy()
        assert operation(copy, out=copy) is copy
        assert np.array_equal(copy, found)


@quick
@given(channels, sides, sides, sides, sides, seeds)
def test_semantic_enhancer(count, height, width, small_height, small_width, seed):
    local, semantics = normal(seed, count, height, width), normal(seed, count, small_height, small_width)
    resized = ops.resize_bilinear(semantics, (height, width))
    found = ops.semantic_enhancer(local, semantics)
    np.testing.assert_allclose(found, local * resized + resized, atol=1e-5, rtol=1e-5)


@quick
@given(st.integers(0, 9), channels, sides, sides, seeds)
def test_mask_product(count, depth, height, width, seed):
    kernels, features = normal(seed, count, depth), normal(seed, depth, height, width)
    expected = np.einsum("nd,dhw->nhw", kernels.astype(np.float64), features)
    np.testing.assert_allclose(ops.mask_product(kernels, features), expected, atol=1e-4, rtol=1e-5)


@quick
@given(st.integers(0, 3), sides, sides, st.integers(1, 60), st.integers(1, 60), st.floats(0.1, 0.9), seeds)
def test_run_lengths(count, height, width, out_height, out_width, probability, seed):
    logits = 3 * normal(seed, count, height, width)
    found = ops.run_lengths(logits, (out_height, out_width), probability=probability)
    assert len(found) == count
    threshold = np.log(probability / (1 - probability))
    for runs, plane in zip(found, logits, strict=True):
        assert runs.sum() == out_height * out_width
        values = np.arange(len(runs)) % 2 == 1
        mask = np.repeat(values, runs).reshape(out_width, out_height).T
        resized = ops.resize_bilinear(plane[None], (out_height, out_width))[0]
        assert not ((mask != (resized > threshold)) & (np.abs(resized - threshold) > 1e-4)).any()


@quick
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 64))
def test_sine_position_embedding(height, width, quarter):
    count = 4 * quarter
    found = ops.sine_position_embedding((height, width), count).reshape(height, width, count)
    for index in range(count // 2):
        frequency = 10000 ** (2 * (index // 2) / (count // 2))
        wave = np.cos if index % 2 else np.sin
        rows = wave(np.arange(1, height + 1) / (height + 1e-6) * 2 * np.pi / frequency)
        columns = wave(np.arange(1, width + 1) / (width + 1e-6) * 2 * np.pi / frequency)
        np.testing.assert_allclose(found[:, 0, index], rows, atol=1e-6)
        np.testing.assert_allclose(found[0, :, count // 2 + index], columns, atol=1e-6)


@quick
@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 8), seeds)
def test_kernel_association_is_the_best_assignment(before, now, depth, seed):
    from itertools import permutations

    previous, current = normal(seed, before, depth), normal(seed + 1, now, depth)
    found = ops.associate_kernels(previous, current)
    similarity = ops.cosine_similarity(previous, current)
    chosen = [(row, column) for row, column in enumerate(found) if column >= 0]
    assert len(chosen) == min(before, now)
    assert len({column for _, column in chosen}) == len(chosen)
    wide = similarity if before <= now else similarity.T
    best = max(
        sum(wide[row, column] for row, column in enumerate(order))
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    )
    assert sum(similarity[pair] for pair in chosen) == pytest.approx(best, abs=1e-4)


MAP = np.zeros((2, 5, 6), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.conv2d(MAP.astype(np.float64), MAP[None]),
            TypeError,
            "x: expected float32, got float64",
        ),
        (lambda: ops.conv2d([1.0], MAP[None]), TypeError, "x: expected a NumPy array"),
        (lambda: ops.conv2d(MAP[0], np.ones((1, 2, 3, 3), np.float32)), ValueError, r"x: .*\(C, H, W\)"),
        (lambda: ops.conv2d(MAP, np.ones((1, 3, 3, 3), np.float32)), ValueError, r"\(O, 2, k, k\)"),
        (lambda: ops.conv2d(MAP, np.ones((1, 2, 2, 2), np.float32)), ValueError, "odd k"),
        (lambda: ops.conv2d(MAP, np.ones((1, 2, 1, 3), np.float32)), ValueError, "odd k"),
        (lambda: ops.conv2d(MAP, np.ones((3, 1, 3, 3), np.float32), groups=2), ValueError, "groups"),
        (lambda: ops.conv2d(MAP, np.ones((1, 2, 3, 3), np.float32), stride=0), ValueError, "stride"),
        (lambda: ops.conv2d(MAP, np.ones((1, 2, 3, 3), np.float32), MAP[0, 0]), ValueError, "bias"),
        (lambda: ops.conv2d(MAP, np.ones((1, 2, 1, 1), np.float32), activation="gelu"), ValueError, "gelu"),
        (
            lambda: ops.conv2d(MAP, np.ones((1, 2, 1, 1), np.float32), out=MAP),
            ValueError,
            r"out: .*\(1, 5, 6\)",
        ),
        (lambda: ops.conv2d(MAP[:, :0], np.ones((1, 2, 1, 1), np.float32)), ValueError, "at least one value"),
        (lambda: ops.linear(MAP[0], MAP[1, :, :5]), ValueError, "weight"),
        (
            lambda: ops.fold_batch_norm(MAP, None, *[MAP[0, 0]] * 4),
            ValueError,
            r"gamma: expected shape \(2,\)",
        ),
        (lambda: ops.attention(MAP[0], MAP[0], MAP[0], 4), ValueError, "heads: expected a divisor of 6"),
        (lambda: ops.attention(MAP[0], MAP[0, :, :3], MAP[0], 3), ValueError, "key"),
        (lambda: ops.layer_norm(MAP[0], MAP[0, 0, :2], MAP[0, 0]), ValueError, "weight"),
        (lambda: ops.resize_bilinear(MAP, (0, 3)), ValueError, "size: expected"),
        (lambda: ops.adaptive_max_pool(MAP, 3), ValueError, "size: expected"),
        (lambda: ops.mask_product(MAP[0], MAP), ValueError, r"kernels: expected shape \(n, 2\)"),
        (lambda: ops.semantic_enhancer(MAP, MAP[:1]), ValueError, "semantics: expected 2 channels"),
        (lambda: ops.run_lengths(MAP, (4, 4), probability=1.0), ValueError, "probability"),
        (lambda: ops.run_lengths(np.full((1, 2, 2), np.nan, np.float32), (4, 4)), ValueError, "finite"),
        (lambda: ops.relu(np.arange(3)), TypeError, "float32"),
        (lambda: ops.relu(MAP, out=MAP.astype(np.float64)), TypeError, "out"),
    ],
)
def test_misfits_are_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
