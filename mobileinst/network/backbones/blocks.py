"""Blocks that the backbones share: inverted residual, pyramid pooling, transformer block.

Facts and sources: docs/spec.md, TopFormer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mobileinst.network.ops import Activation, ConvSpec, Ops, Size, T, conv_bn


class InvertedResidual(NamedTuple):
    """One row of a backbone's table: kernel size, expansion, output channels, stride."""

    kernel_size: int
    expansion: int
    channels: int
    stride: int


def inverted_residual(ops: Ops[T], x: T, name: str, spec: InvertedResidual, activation: Activation) -> T:
    """Expand 1x1, depthwise kxk, project 1x1; identity if the shape allows.

    Official keys: ``{name}.conv.{0,2,4}`` for expand, depthwise, project; without expansion ``{0,2}``.
    """
    hidden = ops.channels(x) * spec.expansion
    y, layer = x, 0
    if spec.expansion != 1:
        y = conv_bn(ops, y, f"{name}.conv.{layer}", ConvSpec(hidden, activation=activation))
        layer += 2
    y = conv_bn(
        ops,
        y,
        f"{name}.conv.{layer}",
        ConvSpec(hidden, spec.kernel_size, stride=spec.stride, groups=hidden, activation=activation),
    )
    y = conv_bn(ops, y, f"{name}.conv.{layer + 2}", ConvSpec(spec.channels))
    if spec.stride == 1 and ops.channels(x) == spec.channels:
        y = ops.add(y, x, f"{name}.add")
    return y


def half_size(size: Size) -> Size:
    """The size after a stride of 2: half, rounded up."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


def pyramid_pool(ops: Ops[T], pyramid: Sequence[T], name: str) -> T:
    """TopFormer's PyramidPoolAgg: levels average-pooled to half the last one's size and joined."""
    size = half_size(ops.size(pyramid[-1]))
    pooled = [ops.average_pool(x, size, f"{name}.pool{i}") for i, x in enumerate(pyramid)]
    return ops.concat(pooled, f"{name}.concat")


class TransformerSpec(NamedTuple):
    """A stack of transformer blocks on maps."""

    blocks: int
    heads: int
    key_dim: int
    mlp_ratio: int


#: Official rate of stochastic depth at the last block, growing linearly from 0 (in training only).
DROP_PATH = 0.1


def self_attention(ops: Ops[T], x: T, name: str, spec: TransformerSpec) -> T:
    """Self-attention of TopFormer. Its scores are not scaled: the official code stores a scale, unused."""
    heads = spec.heads
    q = ops.tokens(conv_bn(ops, x, f"{name}.to_q", ConvSpec(heads * spec.key_dim)))
    k = ops.tokens(conv_bn(ops, x, f"{name}.to_k", ConvSpec(heads * spec.key_dim)))
    v = ops.tokens(conv_bn(ops, x, f"{name}.to_v", ConvSpec(heads * spec.key_dim * 2)))
    y = ops.as_map(ops.attention(q, k, v, heads, 1.0, f"{name}.attention"), ops.size(x))
    y = ops.activate(y, "relu6", f"{name}.proj.0")
    return conv_bn(ops, y, f"{name}.proj.1", ConvSpec(ops.channels(x), zero_init=True))


def mlp(ops: Ops[T], x: T, name: str, ratio: int) -> T:
    """1x1 ConvBN up, depthwise 3x3 with bias and ReLU6, 1x1 ConvBN down."""
    channels = ops.channels(x)
    hidden = channels * ratio
    y = conv_bn(ops, x, f"{name}.fc1", ConvSpec(hidden))
    y = ops.conv(y, f"{name}.dwconv", ConvSpec(hidden, 3, groups=hidden, bias=True, activation="relu6"))
    return conv_bn(ops, y, f"{name}.fc2", ConvSpec(channels))


def transformer(
    ops: Ops[T],
    x: T,
    name: str,
    spec: TransformerSpec,
    attention: Callable[[Ops[T], T, str, TransformerSpec], T] = self_attention,
) -> T:
    """Blocks of attention, TopFormer's unless another is given, and convolutional MLP on a map."""
    for i in range(spec.blocks):
        block = f"{name}.transformer_blocks.{i}"
        rate = DROP_PATH * i / max(spec.blocks - 1, 1)
        y = attention(ops, x, f"{block}.attn", spec)
        x = ops.add(ops.drop_path(y, rate), x, f"{block}.attn.add")
        y = mlp(ops, x, f"{block}.mlp", spec.mlp_ratio)
        x = ops.add(ops.drop_path(y, rate), x, f"{block}.mlp.add")
    return x
