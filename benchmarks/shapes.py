"""The shapes of a network's layers, each with how often it occurs and the name of one that has it.

Kernels and their extents:

    gemm        m k n                             1x1 convolutions and linear layers; m is pixels or tokens
    conv3x3     height width in out               dense, stride 1
    conv_direct height width in out kernel stride other dense convolutions; height and width are the input's
    depthwise   height width channels kernel stride
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mobileinst.engine.backend import layer_key
from mobileinst.network import ModelConfig, model
from mobileinst.network.counter import CounterOps
from mobileinst.network.ops import ConvSpec, Shape
from mobileinst.weights import available_weights, load_weights


@dataclass(frozen=True)
class LayerShape:
    """A kind of layer: its kernel and extents, how often it occurs, and where first."""

    kernel: str
    extents: tuple[int, ...]
    count: int
    name: str

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct computation, for one occurrence."""
        e = self.extents
        if self.kernel == "gemm":
            return e[0] * e[1] * e[2]
        if self.kernel == "conv3x3":
            return 9 * e[0] * e[1] * e[2] * e[3]
        outputs = ((e[0] - 1) // e[-1] + 1) * ((e[1] - 1) // e[-1] + 1)
        return outputs * e[-2] ** 2 * (e[2] if self.kernel == "depthwise" else e[2] * e[3])


class ShapeOps(CounterOps):
    """Counts as its base does and notes the extents that a kernel sees."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[int, ...], str]] = []

    def conv(self, x: Shape, name: str, spec: ConvSpec) -> Shape:
        key = layer_key(
            *self.size(x),
            x.channels,
            spec.out_channels,
            kernel_size=spec.kernel_size,
            stride=spec.stride,
            groups=spec.groups,
        )
        layer, *extents = key.split()
        self.found.append((layer, tuple(map(int, extents)), name))
        return super().conv(x, name, spec)

    def linear(self, x: Shape, name: str, out_features: int, **options: Any) -> Shape:
        self.found.append(("gemm", (x.rows, x.channels, out_features), name))
        return super().linear(x, name, out_features, **options)


def layer_shapes(config: ModelConfig, height: int, width: int) -> list[LayerShape]:
    """Distinct shapes of the whole model in the order in which they first occur."""
    ops = ShapeOps()
    found = model.features(ops, Shape(3, (height, width), height * width), config)
    model.instances(ops, found, config)
    counts: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for kernel, extents, name in ops.found:
        counts.setdefault((kernel, extents), []).append(name)
    return [LayerShape(kernel, extents, len(names), names[0]) for (kernel, extents), names in counts.items()]


def network_shapes(name: str) -> list[LayerShape]:
    """The shapes of a network by its name: backbone and width of the mask decoder, or shipped weights, and
    side or HEIGHTxWIDTH of the input, as in "topformer_b-w128-640", "topformer_b-w128-288x512" or
    "default-384".

    Raises:
        ValueError: if it is no such name.
    """
    found = re.fullmatch(r"(\w+?)(?:-w(\d+))?-(\d+)(?:x(\d+))?", name)
    shipped = found is not None and found[2] is None
    if found is None or (shipped and found[1] not in available_weights()):
        raise ValueError(
            f"expected a network as in topformer_b-w128-640 or topformer_b-w128-288x512, got {name!r}"
        )
    named, width, height, other = found.groups()
    config = load_weights(named).config if shipped else ModelConfig(named, width=int(width))
    return layer_shapes(config, int(height), int(other or height))
