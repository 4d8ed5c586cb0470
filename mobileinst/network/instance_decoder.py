"""Dual transformer instance decoder: queries meet global, then local features (paper Fig. 3, spec c.3)."""

from __future__ import annotations

from mobileinst.network.config import ModelConfig
from mobileinst.network.ops import Ops, T


def _multi_head_attention(ops: Ops[T], query: T, key: T, value: T, name: str, config: ModelConfig) -> T:
    q = ops.linear(query, f"{name}.query", config.hidden)
    k = ops.linear(key, f"{name}.key", config.hidden)
    v = ops.linear(value, f"{name}.value", config.hidden)
    scale = float(config.hidden // config.heads) ** -0.5
    y = ops.attention(q, k, v, config.heads, scale, f"{name}.attention")
    return ops.linear(y, f"{name}.output", config.hidden)


def decoder(ops: Ops[T], queries: T, features: T, name: str, config: ModelConfig) -> T:
    """One decoder without FFN: pre-norm cross-attention to the features, then pre-norm self-attention.

    The position of a query is a learned embedding shared by both decoders; the sine embedding of the features
    is added to keys only.

    Args:
        queries: (N, hidden).
        features: Map (h, w, C) that keys and values come from.
    """
    position = ops.parameter("instance_decoder.query_position.weight", (config.queries, config.hidden))
    memory_map = ops.conv(features, f"{name}.input", config.hidden, bias=True)
    memory = ops.tokens(memory_map)
    sine = ops.sine_embedding(ops.size(features), config.hidden)
    keys = ops.add(memory, sine, f"{name}.keys")

    x = ops.layer_norm(queries, f"{name}.cross.norm")
    x = ops.add(x, position, f"{name}.cross.position")
    x = _multi_head_attention(ops, x, keys, memory, f"{name}.cross", config)
    queries = ops.add(x, queries, f"{name}.cross.add")

    value = ops.layer_norm(queries, f"{name}.self.norm")
    x = ops.add(value, position, f"{name}.self.position")
    x = _multi_head_attention(ops, x, x, value, f"{name}.self", config)
    return ops.add(x, queries, f"{name}.self.add")


def global_decoder(ops: Ops[T], x6: T, config: ModelConfig) -> T:
    """Q_G: the learned queries after the global features."""
    queries = ops.parameter("instance_decoder.query.weight", (config.queries, config.hidden))
    return decoder(ops, queries, x6, "instance_decoder.global", config)


def local_decoder(ops: Ops[T], queries: T, pooled: T, config: ModelConfig) -> T:
    """Q_L: the queries after X_L, the max-pooled mask map."""
    return decoder(ops, queries, pooled, "instance_decoder.local", config)


def heads(ops: Ops[T], queries: T, config: ModelConfig) -> tuple[T, T, T]:
    """Feed-forward network, norm and the three linear heads.

    Returns:
        Class logits (N, classes), objectness logits (N, 1) and kernels (N, kernel_dim).
    """
    name = "instance_decoder"
    x = ops.layer_norm(queries, f"{name}.ffn.norm")
    x = ops.linear(x, f"{name}.ffn.linear1", config.ffn, activation="relu")
    x = ops.linear(x, f"{name}.ffn.linear2", config.hidden)
    x = ops.layer_norm(ops.add(x, queries, f"{name}.ffn.add"), f"{name}.norm")
    return (
        ops.linear(x, f"{name}.class", config.classes),
        ops.linear(x, f"{name}.objectness", 1),
        ops.linear(x, f"{name}.kernel", config.kernel_dim),
    )
