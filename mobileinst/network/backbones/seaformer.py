"""A chain of inverted residuals and squeeze-enhanced axial transformers (docs/spec.md: SeaFormer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mobileinst.network.backbones.blocks import (
    InvertedResidual,
    TransformerSpec,
    inverted_residual,
    transformer,
)
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.backbones.registry import Architecture, register
from mobileinst.network.ops import ConvSpec, Ops, T, conv_bn

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig


class SeaFormerSpec(NamedTuple):
    """One official size: stem channels, the rows of smb1..smb5, and the transformer that follows a stage."""

    stem: int
    convs: tuple[tuple[InvertedResidual, ...], ...]
    transformers: dict[int, TransformerSpec]


def _rows(*rows: tuple[int, int, int, int]) -> tuple[InvertedResidual, ...]:
    return tuple(InvertedResidual(*row) for row in rows)


def _transformers(blocks: int, heads: int) -> tuple[TransformerSpec, TransformerSpec]:
    return TransformerSpec(blocks, heads, 16, 2), TransformerSpec(blocks, heads, 24, 4)


def _small(
    c: tuple[int, int, int, int, int], t4: int, stages: tuple[TransformerSpec, TransformerSpec]
) -> SeaFormerSpec:
    """Sizes T, S, B: channels of smb1..smb5, expansion of smb4, transformers after smb4 and smb5."""
    convs = (
        _rows((3, 1, 16, 1), (3, 4, c[0], 2), (3, 3, c[0], 1)),
        _rows((5, 3, c[1], 2), (5, 3, c[1], 1)),
        _rows((3, 3, c[2], 2), (3, 3, c[2], 1)),
        _rows((5, t4, c[3], 2)),
        _rows((3, 6, c[4], 2)),
    )
    return SeaFormerSpec(16, convs, {4: stages[0], 5: stages[1]})


SEAFORMER = {
    "seaformer_t": _small((16, 32, 64, 128, 160), 3, _transformers(2, 4)),
    "seaformer_s": _small((24, 48, 96, 160, 192), 4, _transformers(3, 6)),
    "seaformer_b": _small((32, 64, 128, 192, 256), 4, _transformers(4, 8)),
    "seaformer_l": SeaFormerSpec(
        32,
        (
            _rows((3, 3, 32, 1), (3, 4, 64, 2), (3, 4, 64, 1)),
            _rows((5, 4, 128, 2), (5, 4, 128, 1)),
            _rows((3, 4, 192, 2), (3, 4, 192, 1)),
            _rows((5, 4, 256, 2)),
            _rows((3, 6, 320, 2)),
        ),
        {3: TransformerSpec(3, 8, 16, 2), 4: TransformerSpec(3, 8, 20, 4), 5: TransformerSpec(3, 8, 24, 6)},
    ),
}


def axial_attention(ops: Ops[T], x: T, name: str, spec: TransformerSpec) -> T:
    """Squeeze-enhanced axial attention: rows and columns attend and gate a detail branch."""
    keys, values = spec.heads * spec.key_dim, spec.heads * spec.key_dim * 2
    q = conv_bn(ops, x, f"{name}.to_q", ConvSpec(keys))
    k = conv_bn(ops, x, f"{name}.to_k", ConvSpec(keys))
    v = conv_bn(ops, x, f"{name}.to_v", ConvSpec(values))
    detail = ops.concat([q, k, v], f"{name}.qkv")
    width = ops.channels(detail)
    detail = conv_bn(ops, detail, f"{name}.dwconv", ConvSpec(width, 3, groups=width, activation="relu6"))
    detail = conv_bn(ops, detail, f"{name}.pwconv", ConvSpec(ops.channels(x)))
    gate = ops.axial_attention(q, k, v, spec.heads, float(spec.key_dim) ** -0.5, name)
    gate = conv_bn(
        ops, gate, f"{name}.proj.1", ConvSpec(ops.channels(x), activation="hard_sigmoid", zero_init=True)
    )
    return ops.mul(detail, gate, f"{name}.gate")


def seaformer(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3 = smb2, X4 = smb3 (L: its transformer), X5 and X6 = the transformers at strides 32 and 64."""
    spec = SEAFORMER[config.backbone]
    x = conv_bn(
        ops,
        image,
        f"{prefix}smb1.stem_block.0",
        ConvSpec(spec.stem, 3, stride=2, activation="relu"),
    )
    levels = []
    # official keys count the transformers from 1, whatever stage they follow
    names = {stage: f"{prefix}trans{i}" for i, stage in enumerate(sorted(spec.transformers), start=1)}
    for i, rows in enumerate(spec.convs, start=1):
        for j, row in enumerate(rows, start=1):
            x = inverted_residual(ops, x, f"{prefix}smb{i}.layer{j}", row, "relu")
        if i in spec.transformers:
            x = transformer(ops, x, names[i], spec.transformers[i], axial_attention)
        levels.append(x)
    return BackboneFeatures(levels[0], levels[1], levels[2], levels[3], levels[4])


register(SEAFORMER, Architecture("SeaFormer", "smb1.stem_block.0.c.weight", seaformer))
