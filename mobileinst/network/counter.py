"""Interpreter that only counts: shapes, parameters and multiply-adds of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mobileinst.network import model
from mobileinst.network.batch_norm import NORM_LEAVES
from mobileinst.network.config import ModelConfig
from mobileinst.network.ops import (
    AXIAL_POSITIONS,
    Activation,
    ConvSpec,
    Operation,
    Ops,
    ParameterKind,
    ParameterSpec,
    Shape,
    Size,
)


@dataclass(frozen=True)
class LayerCount:
    """One layer: multiply-adds count convolutions, linear layers, attention, mask products."""

    name: str
    op: str
    shape: str
    parameters: int
    macs: int


class CounterOps(Ops[Shape]):
    """Operations over :class:`Shape`; fills ``layers`` and ``parameters``."""

    def __init__(self) -> None:
        self.layers: list[LayerCount] = []
        self.parameters: dict[str, ParameterSpec] = {}

    def shape(self, x: Shape) -> Shape:
        return x

    def run(self, operation: Operation, *inputs: Shape) -> Shape:
        learned = sum(
            self._learn(name, spec.shape, spec.kind) for name, spec in operation.parameters.values()
        )
        label = operation.label or operation.kind.replace("_", " ")
        return self._layer(operation.name, label, operation.shape, learned, operation.macs)

    def conv(self, x: Shape, name: str, spec: ConvSpec) -> Shape:
        out, groups = spec.out_channels, spec.groups
        if x.channels % groups or out % groups:
            raise ValueError(f"{name}: {x.channels} -> {out} channels do not divide into {groups} groups")
        size = spec.strided(self.size(x))
        weight = spec.weight_shape(x.channels)
        learned = self._learn(f"{name}.weight", weight, "conv")
        if spec.bias:
            learned += self._learn(f"{name}.bias", (out,), "bias")
        if spec.norm is not None:
            learned += 2 * self._learn(spec.norm, (out,), "zero_norm" if spec.zero_init else "norm")
        macs = size[0] * size[1] * prod(weight)
        label = f"conv {spec.kernel_size}x{spec.kernel_size}"
        label += f" s{spec.stride}" if spec.stride > 1 else ""
        label += f" g{groups}" if groups > 1 else ""
        return self._layer(name, label, Shape.map(out, size), learned, macs)

    def linear(
        self, x: Shape, name: str, out_features: int, *, activation: Activation | None = None
    ) -> Shape:
        learned = self._learn(f"{name}.weight", (out_features, x.channels), "linear")
        learned += self._learn(f"{name}.bias", (out_features,), "bias")
        out = Shape(out_features, None, x.rows)
        return self._layer(name, "linear", out, learned, x.rows * x.channels * out_features)

    def parameter(self, name: str, shape: tuple[int, int]) -> Shape:
        learned = self._learn(name, shape, "tokens")
        out = Shape(shape[1], None, shape[0])
        return self._layer(name, "parameter", out, learned, 0) if learned else out

    def axial_attention(self, q: Shape, k: Shape, v: Shape, heads: int, scale: float, name: str) -> Shape:
        macs, learned = 0, 0
        for axis, length in zip(("row", "column"), self.size(v), strict=True):
            macs += length * length * (q.channels + v.channels) + length * v.channels * v.channels
            for part in "qk":
                shape = (1, q.channels, AXIAL_POSITIONS)
                learned += self._learn(f"{name}.pos_emb_{axis}{part}.pos_embed", shape, "positions")
            encode = f"{name}.proj_encode_{axis}.1"
            learned += self._learn(f"{encode}.c.weight", (v.channels, v.channels, 1, 1), "conv")
            learned += 2 * self._learn(f"{encode}.bn", (v.channels,), "zero_norm")
        return self._layer(f"{name}.axial", "axial attention", v, learned, macs)

    def constant_map(self, values: NDArray[np.float32], name: str) -> Shape:
        return Shape.map(values.shape[2], (values.shape[0], values.shape[1]))

    def concat(self, xs: Sequence[Shape], name: str) -> Shape:
        if len({x.size for x in xs}) != 1:
            raise ValueError(f"{name}: maps of different sizes: {', '.join(map(str, xs))}")
        return self._layer(name, "concat", Shape.map(sum(x.channels for x in xs), self.size(xs[0])), 0, 0)

    def split(self, x: Shape, widths: Sequence[int]) -> list[Shape]:
        if sum(widths) != x.channels:
            raise ValueError(f"cannot split {x.channels} channels into {tuple(widths)}")
        return [Shape.map(width, self.size(x)) for width in widths]

    def tokens(self, x: Shape) -> Shape:
        return Shape(x.channels, None, x.rows)

    def as_map(self, x: Shape, size: Size) -> Shape:
        return Shape.map(x.channels, size)

    def sine_embedding(self, size: Size, channels: int) -> Shape:
        return Shape(channels, None, size[0] * size[1])

    def mask_product(self, kernels: Shape, mask_features: Shape, name: str) -> Shape:
        """Masks of all kernels; not part of the network's functions, counted with them."""
        out = Shape.map(kernels.rows, self.size(mask_features))
        return self._layer(name, "mask product", out, 0, out.rows * kernels.rows * kernels.channels)

    def _learn(self, name: str, shape: tuple[int, ...], kind: ParameterKind) -> int:
        """Number of learned values; 0 if another layer shares the tensor already."""
        if name in self.parameters:
            if self.parameters[name].shape != shape:
                raise ValueError(f"{name} is used with shapes {self.parameters[name].shape} and {shape}")
            return 0
        self.parameters[name] = ParameterSpec(shape, kind)
        return prod(shape)

    def _layer(self, name: str, op: str, out: Shape, parameters: int, macs: int) -> Shape:
        self.layers.append(LayerCount(name, op, str(out), parameters, macs))
        return out


def _run(config: ModelConfig, height: int, width: int) -> CounterOps:
    if height < 1 or width < 1:
        raise ValueError(f"expected a size of at least 1x1, got {height}x{width}")
    ops = CounterOps()
    found = model.features(ops, Shape.map(3, (height, width)), config)
    predictions = model.instances(ops, found, config)
    ops.mask_product(predictions.kernels, found.mask_features, "masks")
    return ops


def count_layers(config: ModelConfig, height: int, width: int) -> list[LayerCount]:
    """Every layer of the whole model in execution order.

    Raises:
        ValueError: for a size below 1x1.
    """
    return _run(config, height, width).layers


def count_backbone(config: ModelConfig, height: int, width: int) -> list[LayerCount]:
    """Every layer of the backbone alone, as the tables of the backbones' papers count."""
    ops = CounterOps()
    model.backbone(ops, Shape.map(3, (height, width)), config)
    return ops.layers


def parameter_specs(config: ModelConfig) -> dict[str, ParameterSpec]:
    """Every learned tensor of the model; a batch norm appears under its prefix."""
    return _run(config, 64, 64).parameters


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a weights file of this configuration holds."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, spec in parameter_specs(config).items():
        if spec.kind in ("norm", "zero_norm"):
            for leaf in NORM_LEAVES:
                shapes[f"{name}.{leaf}"] = spec.shape
        else:
            shapes[name] = spec.shape
    return shapes
