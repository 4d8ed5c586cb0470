"""Dual transformer instance decoder: global, then local features (docs/spec.md: Instance decoder)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

from mobileinst.network import selection
from mobileinst.network.backbones.features import Places
from mobileinst.network.config import ModelConfig
from mobileinst.network.ops import ConvSpec, Ops, T


@dataclass(frozen=True)
class Queries(Generic[T]):
    """Instance queries on their way through the decoders.

    Attributes:
        content: (N, hidden).
        position: (N, hidden), added to the content where attention compares.
        places: What they began with, (N, C) of :mod:`mobileinst.network.selection`; None for learned queries.
    """

    content: T
    position: T
    places: T | None = None


def first_queries(ops: Ops[T], places: Sequence[Places[T]], config: ModelConfig) -> Queries[T]:
    """The queries before the global decoder: learned ones, or read from the best places of a detector."""
    name = "instance_decoder"
    if not places:
        shape = (config.queries, config.hidden)
        content = ops.parameter(f"{name}.query.weight", shape)
        return Queries(content, ops.parameter(f"{name}.query_position.weight", shape))
    chosen = ops.select(places, config.kinds, config.queries, f"{name}.select")
    x = ops.linear(chosen, f"{name}.query.linear1", config.ffn, activation="relu")
    content = ops.linear(x, f"{name}.query.linear2", config.hidden)
    return Queries(content, ops.linear(chosen, f"{name}.query_position", config.hidden), chosen)


def _multi_head_attention(ops: Ops[T], query: T, key: T, value: T, name: str, config: ModelConfig) -> T:
    q = ops.linear(query, f"{name}.query", config.hidden)
    k = ops.linear(key, f"{name}.key", config.hidden)
    v = ops.linear(value, f"{name}.value", config.hidden)
    scale = float(config.hidden // config.heads) ** -0.5
    y = ops.attention(q, k, v, config.heads, scale, f"{name}.attention")
    return ops.linear(y, f"{name}.output", config.hidden)


def decoder(ops: Ops[T], given: Queries[T], features: T, name: str, config: ModelConfig) -> Queries[T]:
    """One decoder without FFN: pre-norm cross-attention to the features, then pre-norm self-attention.

    The position of a query is the same in both decoders; the sine embedding of the features is added to keys
    only.

    Args:
        features: Map (h, w, C) that keys and values come from.
    """
    queries, position = given.content, given.position
    memory_map = ops.conv(features, f"{name}.input", ConvSpec(config.hidden, bias=True))
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
    return replace(given, content=ops.add(x, queries, f"{name}.self.add"))


def global_decoder(ops: Ops[T], queries: Queries[T], x6: T, config: ModelConfig) -> Queries[T]:
    """Q_G: the first queries after the global features."""
    return decoder(ops, queries, x6, "instance_decoder.global", config)


def local_decoder(ops: Ops[T], queries: Queries[T], pooled: T, config: ModelConfig) -> Queries[T]:
    """Q_L: the queries after X_L, the max-pooled mask map."""
    return decoder(ops, queries, pooled, "instance_decoder.local", config)


def _priors(ops: Ops[T], places: T, config: ModelConfig) -> tuple[T, T]:
    """Class logits and windows of selected places."""
    tail = (config.classes, selection.BOX_CHANNELS, selection.WINDOW_CHANNELS)
    features = ops.channels(places) - sum(tail)
    parts = ops.split(ops.as_map(places, (1, config.queries)), (features, *tail))
    return ops.tokens(parts[1]), ops.tokens(parts[3])


def heads(ops: Ops[T], given: Queries[T], config: ModelConfig) -> tuple[T, T, T]:
    """Feed-forward network, norm and the three linear heads.

    Of queries that began as places, those of the places are added to class logits, and kernels begin with the
    windows of their boxes.

    Returns:
        Class logits (N, classes), objectness logits (N, 1) and kernels (N, kernel_dim).
    """
    name, queries = "instance_decoder", given.content
    x = ops.layer_norm(queries, f"{name}.ffn.norm")
    x = ops.linear(x, f"{name}.ffn.linear1", config.ffn, activation="relu")
    x = ops.linear(x, f"{name}.ffn.linear2", config.hidden)
    x = ops.layer_norm(ops.add(x, queries, f"{name}.ffn.add"), f"{name}.norm")
    class_logits = ops.linear(x, f"{name}.class", config.classes)
    objectness_logits = ops.linear(x, f"{name}.objectness", 1)
    windows = 0 if given.places is None else selection.WINDOW_CHANNELS
    kernels = ops.linear(x, f"{name}.kernel", config.kernel_dim - windows)
    if given.places is not None:
        prior, window = _priors(ops, given.places, config)
        class_logits = ops.add(class_logits, prior, f"{name}.class.add")
        row = (1, config.queries)
        joined = ops.concat([ops.as_map(window, row), ops.as_map(kernels, row)], f"{name}.kernel.concat")
        kernels = ops.tokens(joined)
    return class_logits, objectness_logits, kernels
