"""Token pyramid, transformer on the pooled pyramid, semantic injection (docs/spec.md: TopFormer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mobileinst.network.backbones.blocks import (
    InvertedResidual,
    TransformerSpec,
    inverted_residual,
    pyramid_pool,
    transformer,
)
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.backbones.registry import Architecture, named, register
from mobileinst.network.ops import ConvSpec, Ops, T, conv_bn

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig


class TopFormerSpec(NamedTuple):
    """One official size: channels of the four pyramid levels, heads, width of the injection modules."""

    channels: tuple[int, int, int, int]
    heads: int
    sim_channels: int
    layers: int


TOPFORMER = {
    "topformer_t": TopFormerSpec((16, 32, 64, 96), 4, 128, 9),
    "topformer_s": TopFormerSpec((24, 48, 96, 128), 6, 192, 10),
    "topformer_b": TopFormerSpec((32, 64, 128, 160), 8, 256, 10),
}

#: Layers of the token pyramid module whose outputs are collected: strides 4, 8, 16 (and the last, 32).
_COLLECTED = (3, 5, 7)


def _pyramid_layers(spec: TopFormerSpec) -> list[InvertedResidual]:
    c0, c1, c2, c3 = spec.channels
    rows = [
        InvertedResidual(3, 1, 16, 1),
        InvertedResidual(3, 4, c0, 2),
        InvertedResidual(3, 3, c0, 1),
        InvertedResidual(5, 3, c1, 2),
        InvertedResidual(5, 3, c1, 1),
        InvertedResidual(3, 3, c2, 2),
        InvertedResidual(3, 3, c2, 1),
        InvertedResidual(5, 6, c3, 2),
        InvertedResidual(5, 6, c3, 1),
        InvertedResidual(3, 6, c3, 1),
    ]
    return rows[: spec.layers]


def token_pyramid(ops: Ops[T], image: T, name: str, spec: TopFormerSpec) -> list[T]:
    """Stem and inverted residuals; maps at strides 4, 8, 16, 32."""
    x = conv_bn(ops, image, f"{name}.stem.0", ConvSpec(16, 3, stride=2, activation="relu"))
    layers = _pyramid_layers(spec)
    pyramid = []
    for i, layer in enumerate(layers, start=1):
        x = inverted_residual(ops, x, f"{name}.layer{i}", layer, "relu")
        if i in _COLLECTED or i == len(layers):
            pyramid.append(x)
    return pyramid


def semantic_injection(ops: Ops[T], local: T, semantics: T, name: str, channels: int) -> T:
    """Official type "multiply-sum": local * up(h_sigmoid(act)) + up(embedding), gated before resizing."""
    keys = ("conv", "bn")
    size = ops.size(local)
    x = conv_bn(ops, local, f"{name}.local_embedding", ConvSpec(channels), keys=keys)
    gate = conv_bn(
        ops, semantics, f"{name}.global_act", ConvSpec(channels, activation="hard_sigmoid"), keys=keys
    )
    shift = conv_bn(ops, semantics, f"{name}.global_embedding", ConvSpec(channels), keys=keys)
    x = ops.mul(x, ops.resize(gate, size, f"{name}.gate"), f"{name}.mul")
    return ops.add(x, ops.resize(shift, size, f"{name}.shift"), f"{name}.add")


def topformer_pyramid(ops: Ops[T], image: T, variant: str, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3, X4, X5 from the token pyramid (strides 8, 16, 32) and X6 from the transformer (stride 64)."""
    spec = TOPFORMER[variant]
    pyramid = token_pyramid(ops, image, f"{prefix}tpm", spec)
    x6 = transformer(
        ops,
        pyramid_pool(ops, pyramid, f"{prefix}ppa"),
        f"{prefix}trans",
        TransformerSpec(blocks=4, heads=spec.heads, key_dim=16, mlp_ratio=2),
    )
    return BackboneFeatures(pyramid[0], pyramid[1], pyramid[2], pyramid[3], x6)


def inject(
    ops: Ops[T], levels: BackboneFeatures[T], variant: str, *, prefix: str = ""
) -> BackboneFeatures[T]:
    """X3, X4, X5 injected with the semantics that X6 holds for them; official outputs with SIM."""
    spec = TOPFORMER[variant]
    semantics = ops.split(levels.x6, spec.channels)
    injected = [
        semantic_injection(ops, x, semantics[i], f"{prefix}SIM.{i}", spec.sim_channels)
        for i, x in enumerate((levels.x3, levels.x4, levels.x5), start=1)
    ]
    return BackboneFeatures(levels.x2, injected[0], injected[1], injected[2], levels.x6)


def topformer(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3, X4, X5 (strides 8, 16, 32) and X6 (stride 64); X3..X5 injected with semantics if ``use_sim``."""
    levels = topformer_pyramid(ops, image, config.backbone, prefix=prefix)
    return inject(ops, levels, config.backbone, prefix=prefix) if config.use_sim else levels


def _levels(
    ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "", whole: bool = True
) -> dict[str, T]:
    """x3 to x6, and with ``use_sim`` sim3 to sim5, the injected maps (the official outputs)."""
    plain = topformer_pyramid(ops, image, config.backbone, prefix=prefix)
    levels = named("x", plain)
    if config.use_sim:
        levels |= named("sim", inject(ops, plain, config.backbone, prefix=prefix))
        del levels["sim6"]
    return levels


register(TOPFORMER, Architecture("TopFormer", "tpm.stem.0.c.weight", topformer, levels=_levels, injects=True))
