"""MobileNetV2 1.0 with TopFormer's global semantics on its pyramid (docs/spec.md: Features; X6 is ours)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobileinst.network.backbones.blocks import TransformerSpec, pyramid_pool, transformer
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.backbones.registry import Architecture, named, register
from mobileinst.network.ops import ConvSpec, Ops, T, conv_bn

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig

#: Rows (expansion, channels, repeats, stride) of the MobileNetV2 paper's Table 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

#: torchvision's indices of the last maps at strides 4, 8, 16, 32.
_COLLECTED = (3, 6, 13, 17)

#: Channels of X6 and its transformer (our choice: TopFormer-B's heads on 256 channels).
X6_CHANNELS = 256
_TRANSFORMER = TransformerSpec(blocks=4, heads=8, key_dim=16, mlp_ratio=2)


def _inverted_residual(ops: Ops[T], x: T, name: str, expansion: int, channels: int, stride: int) -> T:
    """The block of MobileNetV2 under torchvision's names: ``conv.0``, ``conv.1``, then conv and norm."""
    hidden = ops.channels(x) * expansion
    y, layer = x, 0
    if expansion != 1:
        y = conv_bn(ops, y, f"{name}.conv.0", ConvSpec(hidden, activation="relu6"), keys=("0", "1"))
        layer = 1
    y = conv_bn(
        ops,
        y,
        f"{name}.conv.{layer}",
        ConvSpec(hidden, 3, stride=stride, groups=hidden, activation="relu6"),
        keys=("0", "1"),
    )
    y = conv_bn(ops, y, f"{name}.conv", ConvSpec(channels), keys=(str(layer + 1), str(layer + 2)))
    if stride == 1 and ops.channels(x) == channels:
        y = ops.add(y, x, f"{name}.add")
    return y


def mobilenetv2_pyramid(ops: Ops[T], image: T, *, prefix: str = "") -> list[T]:
    """Maps at strides 4, 8, 16, 32 (24, 32, 96, 320 channels) under torchvision's names."""
    x = conv_bn(
        ops,
        image,
        f"{prefix}features.0",
        ConvSpec(32, 3, stride=2, activation="relu6"),
        keys=("0", "1"),
    )
    pyramid, index = [], 1
    for expansion, channels, repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _inverted_residual(ops, x, f"{prefix}features.{index}", expansion, channels, stride)
            if index in _COLLECTED:
                pyramid.append(x)
            index += 1
    return pyramid


def mobilenetv2(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3, X4, X5 (strides 8, 16, 32) and X6 (stride 64)."""
    pyramid = mobilenetv2_pyramid(ops, image, prefix=prefix)
    pooled = pyramid_pool(ops, pyramid, f"{prefix}ppa")
    x6 = conv_bn(ops, pooled, f"{prefix}embed", ConvSpec(X6_CHANNELS))
    x6 = transformer(ops, x6, f"{prefix}trans", _TRANSFORMER)
    return BackboneFeatures(pyramid[0], pyramid[1], pyramid[2], pyramid[3], x6)


def _levels(
    ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "", whole: bool = True
) -> dict[str, T]:
    """x3 to x6, or x3 to x5 of weights from elsewhere: the transformer behind X6 is this project's."""
    if whole:
        return named("x", mobilenetv2(ops, image, config, prefix=prefix))
    pyramid = mobilenetv2_pyramid(ops, image, prefix=prefix)
    return dict(zip(("x3", "x4", "x5"), pyramid[1:], strict=True))


register(
    ["mobilenetv2"],
    Architecture(
        "MobileNetV2 (torchvision's names)",
        "features.0.0.weight",
        mobilenetv2,
        levels=_levels,
        official="features.",
    ),
)
