"""Semantic-enhanced mask decoder (paper Fig. 3, docs/spec.md: Mask decoder)."""

from __future__ import annotations

from collections.abc import Sequence

from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.ops import ConvSpec, Ops, T, conv_bn

_KEYS = ("conv", "bn")


def semantic_enhancer(ops: Ops[T], local: T, semantics: T, name: str) -> T:
    """SE of Fig. 3: ``local * semantics + semantics``; the first factor is gated by the global features."""
    return ops.add(ops.mul(local, semantics, f"{name}.mul"), semantics, f"{name}.add")


def _top_down(ops: Ops[T], maps: Sequence[T], name: str) -> list[T]:
    """Coarse to fine: each level plus the next coarser result, resized."""
    out = [maps[-1]]
    for level, x in zip((4, 3), reversed(maps[:-1]), strict=True):
        coarse = ops.resize(out[0], ops.size(x), f"{name}.up{level}")
        out.insert(0, ops.add(x, coarse, f"{name}.add{level}"))
    return out


def _bottom_up(ops: Ops[T], maps: Sequence[T], name: str) -> list[T]:
    """Fine to coarse: each level plus the next finer result, resized."""
    out = [maps[0]]
    for level, x in zip((4, 5), maps[1:], strict=True):
        fine = ops.resize(out[-1], ops.size(x), f"{name}.down{level}")
        out.append(ops.add(x, fine, f"{name}.add{level}"))
    return out


def _convs(ops: Ops[T], maps: Sequence[T], name: str, width: int) -> list[T]:
    """A 3x3 ConvBN + ReLU per level (C in Fig. 3)."""
    return [
        conv_bn(ops, x, f"{name}.{level}", ConvSpec(width, 3, activation="relu"), keys=_KEYS)
        for level, x in zip((3, 4, 5), maps, strict=True)
    ]


def mask_detail(ops: Ops[T], mask_map: T, x2: T, width: int, name: str = "mask_decoder.detail") -> T:
    """X_mask at stride 4 (ours): a quarter of its channels, upsampled, and what they lack of x2's edges."""
    channels = width // 4
    coarse = ops.conv(mask_map, f"{name}.coarse", ConvSpec(channels, bias=True))
    coarse = ops.resize(coarse, ops.size(x2), f"{name}.up")
    edges = conv_bn(ops, x2, f"{name}.lateral", ConvSpec(channels, activation="relu"), keys=_KEYS)
    x = ops.add(coarse, edges, f"{name}.join")
    x = conv_bn(ops, x, f"{name}.mix", ConvSpec(channels, 3, activation="relu"), keys=_KEYS)
    return ops.add(ops.conv(x, f"{name}.fine", ConvSpec(channels, bias=True)), coarse, f"{name}.add")


def mask_decoder(ops: Ops[T], features: BackboneFeatures[T], width: int, name: str = "mask_decoder") -> T:
    """X_mask at stride 8: top-down, 3x3, bottom-up, 3x3, top-down, with the enhancer at both coarse ends."""
    levels = (features.x3, features.x4, features.x5, features.x6)
    lateral = [
        conv_bn(ops, x, f"{name}.lateral.{level}", ConvSpec(width, activation="relu"), keys=_KEYS)
        for level, x in zip((3, 4, 5, 6), levels, strict=True)
    ]
    semantics = ops.resize(lateral[3], ops.size(features.x5), f"{name}.semantics")
    first = semantic_enhancer(ops, lateral[2], semantics, f"{name}.enhancer1")
    maps = _top_down(ops, [lateral[0], lateral[1], first], f"{name}.top_down1")
    maps = _convs(ops, maps, f"{name}.before", width)
    maps = _bottom_up(ops, maps, f"{name}.bottom_up")
    maps = _convs(ops, maps, f"{name}.after", width)
    second = semantic_enhancer(ops, maps[2], semantics, f"{name}.enhancer2")
    return _top_down(ops, [maps[0], maps[1], second], f"{name}.top_down2")[0]
