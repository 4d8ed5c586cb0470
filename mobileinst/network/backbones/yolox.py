"""YOLOX-nano as a backbone (arXiv 2107.08430): depthwise CSPDarknet, path aggregation, decoupled heads.

Our addition beside the paper's backbones. Batch norms are folded into convolutions with bias, and the Focus
layer with its 3x3 convolution is one 7x7 convolution whose first row and column are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mobileinst.network.backbones.blocks import TransformerSpec, pyramid_pool, transformer
from mobileinst.network.backbones.features import BackboneFeatures, Places
from mobileinst.network.backbones.registry import Architecture, register
from mobileinst.network.ops import ConvSpec, Ops, Size, T, conv_bn
from mobileinst.network.position import box_frequencies

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig

#: Channels at strides 4, 8, 16, 32 of the trunk; half of them inside its blocks.
_CHANNELS = (32, 64, 128, 256)
#: Bottlenecks of the trunk's blocks at strides 4, 8, 16 (with a sum around each) and 32 (without).
_REPEATS = (1, 3, 3, 1)
#: Channels of the heads' towers at every level.
HEAD_CHANNELS = 64
STRIDES = (8, 16, 32)

X6_CHANNELS = 256
_TRANSFORMER = TransformerSpec(blocks=2, heads=8, key_dim=16, mlp_ratio=2)


def _conv(ops: Ops[T], x: T, name: str, channels: int, *, kernel_size: int = 1, stride: int = 1) -> T:
    return ops.conv(x, name, ConvSpec(channels, kernel_size, stride=stride, bias=True, activation="silu"))


def _separable(ops: Ops[T], x: T, name: str, channels: int, *, stride: int = 1) -> T:
    """Depthwise 3x3, then 1x1, a SiLU behind each."""
    y = ops.conv(
        x,
        f"{name}.dconv",
        ConvSpec(
            ops.channels(x),
            kernel_size=3,
            stride=stride,
            groups=ops.channels(x),
            bias=True,
            activation="silu",
        ),
    )
    return _conv(ops, y, f"{name}.pconv", channels)


def _csp(ops: Ops[T], x: T, name: str, channels: int, repeats: int, *, residual: bool) -> T:
    """Cross-stage partial block: bottlenecks on one half of the channels, the other half beside them."""
    half = channels // 2
    y = _conv(ops, x, f"{name}.conv1", half)
    beside = _conv(ops, x, f"{name}.conv2", half)
    for i in range(repeats):
        z = _conv(ops, y, f"{name}.m.{i}.conv1", half)
        z = _separable(ops, z, f"{name}.m.{i}.conv2", half)
        y = ops.add(z, y, f"{name}.m.{i}.add") if residual else z
    return _conv(ops, ops.concat([y, beside], f"{name}.concat"), f"{name}.conv3", channels)


def _spatial_pyramid(ops: Ops[T], x: T, name: str, channels: int) -> T:
    """Maxima over 5x5, 9x9 and 13x13 beside the map; the wider ones are 5x5 of 5x5."""
    x = _conv(ops, x, f"{name}.conv1", channels // 2)
    maps = [x]
    for size in (5, 9, 13):
        maps.append(ops.window_max(maps[-1], 5, f"{name}.max{size}"))
    return _conv(ops, ops.concat(maps, f"{name}.concat"), f"{name}.conv2", channels)


def yolox_trunk(ops: Ops[T], image: T, prefix: str) -> list[T]:
    """Maps at strides 4, 8, 16, 32 (32, 64, 128, 256 channels)."""
    x = _conv(ops, image, f"{prefix}stem", 16, kernel_size=7, stride=2)
    levels = []
    for i, (channels, repeats) in enumerate(zip(_CHANNELS, _REPEATS, strict=True)):
        name = f"{prefix}dark{i + 2}"
        x = _separable(ops, x, f"{name}.0", channels, stride=2)
        last = i == len(_CHANNELS) - 1
        if last:
            x = _spatial_pyramid(ops, x, f"{name}.1", channels)
        x = _csp(ops, x, f"{name}.{2 if last else 1}", channels, repeats, residual=not last)
        levels.append(x)
    return levels


def yolox_pyramid(ops: Ops[T], trunk: Sequence[T], prefix: str) -> list[T]:
    """Path aggregation of the maps at strides 8, 16, 32 (64, 128, 256 channels)."""
    c3, c4, c5 = trunk
    lateral5 = _conv(ops, c5, f"{prefix}lateral_conv0", 128)
    up = ops.max_pool(lateral5, ops.size(c4), f"{prefix}up4")  # to twice the size: the nearest value
    x = _csp(ops, ops.concat([up, c4], f"{prefix}concat4"), f"{prefix}C3_p4", 128, 1, residual=False)
    lateral4 = _conv(ops, x, f"{prefix}reduce_conv1", 64)
    up = ops.max_pool(lateral4, ops.size(c3), f"{prefix}up3")
    p3 = _csp(ops, ops.concat([up, c3], f"{prefix}concat3"), f"{prefix}C3_p3", 64, 1, residual=False)
    down = _separable(ops, p3, f"{prefix}bu_conv2", 64, stride=2)
    x = ops.concat([down, lateral4], f"{prefix}concat_n3")
    p4 = _csp(ops, x, f"{prefix}C3_n3", 128, 1, residual=False)
    down = _separable(ops, p4, f"{prefix}bu_conv1", 128, stride=2)
    x = ops.concat([down, lateral5], f"{prefix}concat_n4")
    p5 = _csp(ops, x, f"{prefix}C3_n4", 256, 1, residual=False)
    return [p3, p4, p5]


def yolox_places(ops: Ops[T], x: T, level: int, image: Size, kinds: int, prefix: str) -> Places[T]:
    """The heads of a level: what is at each place, and the box that it would have."""
    stem = _conv(ops, x, f"{prefix}stems.{level}", HEAD_CHANNELS)
    tower = stem
    for i in range(2):
        tower = _separable(ops, tower, f"{prefix}cls_convs.{level}.{i}", HEAD_CHANNELS)
    kind_logits = ops.conv(tower, f"{prefix}cls_preds.{level}", ConvSpec(kinds, bias=True))
    boxes = stem
    for i in range(2):
        boxes = _separable(ops, boxes, f"{prefix}reg_convs.{level}.{i}", HEAD_CHANNELS)
    raw = ops.conv(boxes, f"{prefix}reg_preds.{level}", ConvSpec(4, bias=True))
    objectness = ops.conv(boxes, f"{prefix}obj_preds.{level}", ConvSpec(1, bias=True))
    features = ops.concat([tower, boxes], f"{prefix}features.{level}")
    size = ops.size(x)
    scale = ops.constant_map(_box_scale(size, STRIDES[level], image), f"{prefix}box_scale")
    shift = ops.constant_map(_box_shift(size, STRIDES[level], image), f"{prefix}box_shift")
    name = f"{prefix}boxes.{level}"
    box = ops.add(ops.mul(raw, scale, f"{name}.scale"), shift, f"{name}.shift")
    return Places(kind_logits, objectness, box, features)


def _box_scale(size: Size, stride: int, image: Size) -> NDArray[np.float32]:
    """From strides to shares of the image's sides; logarithms of extents stay as they are."""
    row = np.array([stride / image[1], stride / image[0], 1.0, 1.0], np.float32)
    return np.tile(row, (*size, 1))


def _box_shift(size: Size, stride: int, image: Size) -> NDArray[np.float32]:
    """Where each place is, and the logarithm of a stride, in shares of the image's sides."""
    out = np.empty((*size, 4), np.float32)
    out[..., 0] = np.arange(size[1])[None, :] * (stride / image[1])
    out[..., 1] = np.arange(size[0])[:, None] * (stride / image[0])
    out[..., 2] = np.log(stride / image[1])
    out[..., 3] = np.log(stride / image[0])
    return out


def _grid(size: Size, stride: int, image: Size) -> NDArray[np.float32]:
    """Sines and cosines of where each place's middle is, as :func:`box_frequencies` has them for boxes."""
    y = (np.arange(size[0]) + 0.5) * (stride / image[0])
    x = (np.arange(size[1]) + 0.5) * (stride / image[1])
    centres = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), -1)
    return box_frequencies(centres.reshape(-1, 2)).reshape(*size, -1)


def yolox_nano(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "") -> BackboneFeatures[T]:
    """X3, X4, X5: pyramid, towers, boxes and positions at strides 8, 16, 32, joined; X6 from all of them."""
    size = ops.size(image)
    trunk = yolox_trunk(ops, image, prefix)
    pyramid = yolox_pyramid(ops, trunk[1:], prefix)
    places = [
        yolox_places(ops, x, level, size, sum(config.kinds), f"{prefix}head.")
        for level, x in enumerate(pyramid)
    ]
    joined = []
    for level, (x, place) in enumerate(zip(pyramid, places, strict=True)):
        grid = ops.constant_map(_grid(ops.size(x), STRIDES[level], size), f"{prefix}grid")
        joined.append(ops.concat([x, place.features, place.boxes, grid], f"{prefix}joined.{level}"))
    pooled = pyramid_pool(ops, joined, f"{prefix}ppa")
    x6 = conv_bn(ops, pooled, f"{prefix}embed", ConvSpec(X6_CHANNELS))
    x6 = transformer(ops, x6, f"{prefix}trans", _TRANSFORMER)
    return BackboneFeatures(trunk[0], joined[0], joined[1], joined[2], x6, tuple(places))


register(["yolox_nano"], Architecture("YOLOX", None, yolox_nano, detects=True))
