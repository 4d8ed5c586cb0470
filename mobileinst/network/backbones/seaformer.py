"""A chain of inverted residuals and squeeze-enhanced axial transformers (docs/spec.md: SeaFormer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mobileinst.network.backbones.blocks import DROP_PATH, InvertedResidual, inverted_residual, mlp
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.backbones.registry import Architecture, register
from mobileinst.network.ops import Ops, T, conv_bn

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig


class Stage(NamedTuple):
    """A transformer stage: blocks, heads, dimension of a head's keys, MLP ratio."""

    blocks: int
    heads: int
    key_dim: int
    mlp_ratio: int


class SeaFormerSpec(NamedTuple):
    """One official size: stem channels, the rows of smb1..smb5, and the transformer that follows a stage."""

    stem: int
    convs: tuple[tuple[InvertedResidual, ...], ...]
    transformers: dict[int, Stage]


def _rows(*rows: tuple[int, int, int, int]) -> tuple[InvertedResidual, ...]:
    return tuple(InvertedResidual(*row) for row in rows)


def _small(c: tuple[int, int, int, int, int], t4: int, stages: tuple[Stage, Stage]) -> SeaFormerSpec:
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
    "seaformer_t": _small((16, 32, 64, 128, 160), 3, (Stage(2, 4, 16, 2), Stage(2, 4, 24, 4))),
    "seaformer_s": _small((24, 48, 96, 160, 192), 4, (Stage(3, 6, 16, 2), Stage(3, 6, 24, 4))),
    "seaformer_b": _small((32, 64, 128, 192, 256), 4, (Stage(4, 8, 16, 2), Stage(4, 8, 24, 4))),
    "seaformer_l": SeaFormerSpec(
        32,
        (
            _rows((3, 3, 32, 1), (3, 4, 64, 2), (3, 4, 64, 1)),
            _rows((5, 4, 128, 2), (5, 4, 128, 1)),
            _rows((3, 4, 192, 2), (3, 4, 192, 1)),
            _rows((5, 4, 256, 2)),
            _rows((3, 6, 320, 2)),
        ),
        {3: Stage(3, 8, 16, 2), 4: Stage(3, 8, 20, 4), 5: Stage(3, 8, 24, 6)},
    ),
}


def attention(ops: Ops[T], x: T, name: str, stage: Stage) -> T:
    """Squeeze-enhanced axial attention: rows and columns attend and gate a detail branch."""
    keys, values = stage.heads * stage.key_dim, stage.heads * stage.key_dim * 2
    q = conv_bn(ops, x, f"{name}.to_q", keys)
    k = conv_bn(ops, x, f"{name}.to_k", keys)
    v = conv_bn(ops, x, f"{name}.to_v", values)
    detail = ops.concat([q, k, v], f"{name}.qkv")
    width = ops.channels(detail)
    detail = conv_bn(ops, detail, f"{name}.dwconv", width, kernel=3, groups=width, activation="relu6")
    detail = conv_bn(ops, detail, f"{name}.pwconv", ops.channels(x))
    gate = ops.axial_attention(q, k, v, stage.heads, float(stage.key_dim) ** -0.5, name)
    gate = conv_bn(ops, gate, f"{name}.proj.1", ops.channels(x), activation="hard_sigmoid", zero_init=True)
    return ops.mul(detail, gate, f"{name}.gate")


def transformer(ops: Ops[T], x: T, name: str, stage: Stage) -> T:
    """Blocks of axial attention and TopFormer's MLP."""
    for i in range(stage.blocks):
        block = f"{name}.transformer_blocks.{i}"
        rate = DROP_PATH * i / max(stage.blocks - 1, 1)
        y = attention(ops, x, f"{block}.attn", stage)
        x = ops.add(ops.drop_path(y, rate), x, f"{block}.attn.add")
        y = mlp(ops, x, f"{block}.mlp", stage.mlp_ratio)
        x = ops.add(ops.drop_path(y, rate), x, f"{block}.mlp.add")
    return x


def seaformer(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3 = smb2, X4 = smb3 (L: its transformer), X5 and X6 = the transformers at strides 32 and 64."""
    spec = SEAFORMER[config.backbone]
    x = conv_bn(ops, image, f"{prefix}smb1.stem_block.0", spec.stem, kernel=3, stride=2, activation="relu")
    levels = []
    # official keys count the transformers from 1, whatever stage they follow
    names = {stage: f"{prefix}trans{i}" for i, stage in enumerate(sorted(spec.transformers), start=1)}
    for i, rows in enumerate(spec.convs, start=1):
        for j, row in enumerate(rows, start=1):
            x = inverted_residual(ops, x, f"{prefix}smb{i}.layer{j}", row, "relu")
        if i in spec.transformers:
            x = transformer(ops, x, names[i], spec.transformers[i])
        levels.append(x)
    return BackboneFeatures(levels[1], levels[2], levels[3], levels[4])


register(SEAFORMER, Architecture("SeaFormer", "smb1.stem_block.0.c.weight", seaformer))
