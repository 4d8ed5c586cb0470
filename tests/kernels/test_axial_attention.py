"""Squeezed axial attention against its definition, on every tier, at awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native
from tests.support.kernel_bindings import kernels

SHAPES = [
    (1, 1, 1, 1, 1),
    (5, 7, 2, 3, 6),
    (7, 5, 4, 16, 32),
    (3, 20, 6, 24, 48),
    (17, 2, 8, 20, 40),
]


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def definition(q, k, v, heads, scale, axes) -> np.ndarray:
    """Spec b, steps 3 to 5, in double precision."""
    out = v.astype(np.float64)
    for axis, squeezed in (("rows", 1), ("columns", 0)):
        arrays = axes[axis]
        queries = q.mean(squeezed, dtype=np.float64) + arrays["query"]
        keys = k.mean(squeezed, dtype=np.float64) + arrays["key"]
        values = v.mean(squeezed, dtype=np.float64)
        split = [np.split(x, heads, 1) for x in (queries, keys, values)]
        mixed = [softmax(scale * a @ b.T) @ c for a, b, c in zip(*split, strict=True)]
        mixed = np.clip(np.concatenate(mixed, 1), 0, 6)
        out = out + np.expand_dims(mixed @ arrays["weight"].T + arrays["bias"], squeezed)
    return np.clip(out, 0, 6)


def inputs(height: int, width: int, heads: int, key_dim: int, value_dim: int) -> dict:
    rng = np.random.default_rng(height * 100 + width)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    keys, values = heads * key_dim, heads * value_dim
    axes = {
        axis: {
            "query": normal(length, keys),
            "key": normal(length, keys),
            "weight": normal(values, values) / np.float32(values) ** 0.5,
            "bias": normal(values),
        }
        for axis, length in (("rows", height), ("columns", width))
    }
    return {
        "query": normal(height, width, keys),
        "key": normal(height, width, keys),
        "value": normal(height, width, values) + 1,
        "heads": heads,
        "scale": key_dim**-0.5,
        **axes,
    }


@pytest.mark.parametrize("tier", _native.supported_tiers())
@pytest.mark.parametrize("shape", SHAPES)
def test_definition(shape: tuple[int, ...], tier: str) -> None:
    given = inputs(*shape)
    found = kernels.axial_attention(**given, tier=tier)
    expected = definition(given["query"], given["key"], given["value"], given["heads"], given["scale"], given)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("tier", _native.supported_tiers())
def test_parts_and_padding_change_no_bit(tier: str) -> None:
    given = inputs(9, 13, 3, 5, 11)
    expected = kernels.axial_attention(**given, tier=tier)
    for padding, parts in ((0, 3), (5, 1), (16, 64)):
        found = kernels.axial_attention(**given, tier=tier, padding=padding, parts=parts)
        assert np.array_equal(found, expected), (padding, parts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "heads"),
        ({"heads": 0}, "heads"),
        ({"key": np.zeros((5, 7, 9), np.float32)}, "key"),
        ({"value": np.zeros((4, 7, 12), np.float32)}, "value"),
    ],
)
def test_misfits_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.axial_attention(**{**inputs(5, 7, 2, 3, 6), **change})
