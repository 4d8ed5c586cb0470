"""Attention of several heads, against its definition in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    TIERS,
    WAYS,
    activate,
    make,
)
from tests.support.kernel_bindings import kernels


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


def test_heads_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="heads: expected a divisor of 4 and 4, got 3"):
        kernels.attention(*[np.zeros((2, 4), np.float32)] * 3, 3, 1.0)
