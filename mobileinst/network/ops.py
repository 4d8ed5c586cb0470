"""The operations that the network is written in.

Maps are images of features, logically (H, W, C); tokens are rows, logically (N, C). How an interpreter stores
them is its own matter: PyTorch uses (B, C, H, W) and (B, N, C), the native engine (H, W, C) and (N, C).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mobileinst.network import selection

if TYPE_CHECKING:
    from mobileinst.network.backbones.features import Places

Activation = Literal["relu", "relu6", "hard_sigmoid", "silu"]
ParameterKind = Literal["conv", "linear", "bias", "norm", "zero_norm", "layer_norm", "tokens", "positions"]
Size = tuple[int, int]
T = TypeVar("T")

#: eps of every batch norm and layer norm (PyTorch's default, docs/spec.md: TopFormer).
NORM_EPS = 1e-5

#: Length of the learned position embeddings of axial attention (docs/spec.md: SeaFormer).
AXIAL_POSITIONS = 16


class ConvSpec(NamedTuple):
    """A convolution with padding ``kernel_size // 2``.

    Attributes:
        out_channels: Channels of the result.
        kernel_size: Side of the window.
        stride: Step of the window.
        groups: Groups of channels that are convolved apart.
        norm: Prefix of the batch norm behind it, or None.
        bias: Whether it has a bias of its own.
        activation: What follows all this, or None.
        zero_init: Asks training to start the batch norm's weight at 0 (residual branches of TopFormer).
    """

    out_channels: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1
    norm: str | None = None
    bias: bool = False
    activation: Activation | None = None
    zero_init: bool = False

    def strided(self, size: Size) -> Size:
        """The result's height and width for an input's."""
        return (size[0] - 1) // self.stride + 1, (size[1] - 1) // self.stride + 1

    def weight_shape(self, in_channels: int) -> tuple[int, int, int, int]:
        """(O, I / groups, k, k)."""
        return self.out_channels, in_channels // self.groups, self.kernel_size, self.kernel_size


@dataclass(frozen=True)
class Shape:
    """A map (channels, (h, w)) or, where ``size`` is None, tokens (rows, channels)."""

    channels: int
    size: Size | None
    rows: int

    @classmethod
    def map(cls, channels: int, size: Size) -> Shape:
        """Of a map (h, w)."""
        return cls(channels, size, size[0] * size[1])

    def __str__(self) -> str:
        if self.size is None:
            return f"{self.rows} x {self.channels}"
        return f"{self.channels} x {self.size[0]} x {self.size[1]}"


@dataclass(frozen=True)
class ParameterSpec:
    """A learned tensor: its shape and kind. For ``norm`` kinds its name is a batch norm's prefix."""

    shape: tuple[int, ...]
    kind: ParameterKind


@dataclass(frozen=True)
class Operation:
    """What is known of an operation before it is computed.

    Attributes:
        kind: Of the node in native plans (src/cpp/plan/nodes).
        name: The layer's.
        shape: Of the result.
        activation: What follows.
        attributes: Of the node.
        parameters: Learned tensors, which are attributes too: name and shape of each.
        macs: Multiply-adds.
        label: In tables of layers; empty means the kind.
    """

    kind: str
    name: str
    shape: Shape
    activation: Activation | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, tuple[str, ParameterSpec]] = field(default_factory=dict)
    macs: int = 0
    label: str = ""


class Ops(ABC, Generic[T]):
    """The operations. ``T`` stands for an interpreter's maps and tokens.

    Most say here what they are, once for all: an interpreter that implements :meth:`shape` and :meth:`run`
    has them. It overrides those that it computes in a way of its own; PyTorch does so with all.
    """

    def shape(self, x: T) -> Shape:
        """Of a map or tokens."""
        raise NotImplementedError

    def run(self, operation: Operation, *inputs: T) -> T:
        """The result of an operation.

        Raises:
            NotImplementedError: by an interpreter that has its own way for each and lacks this one.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks the operation {operation.kind!r}")

    def channels(self, x: T) -> int:
        """Channels of a map or tokens."""
        return self.shape(x).channels

    def size(self, x: T) -> Size:
        """Height and width of a map."""
        shape = self.shape(x)
        if shape.size is None:
            raise ValueError(f"expected a map, got tokens {shape}")
        return shape.size

    @abstractmethod
    def conv(self, x: T, name: str, spec: ConvSpec) -> T:
        """Convolution, then the batch norm if one is named, then the activation.

        Parameters: ``{name}.weight`` (O, I / groups, k, k), ``{name}.bias`` if ``spec.bias``, and the norm's.
        """

    @abstractmethod
    def linear(self, x: T, name: str, out_features: int, *, activation: Activation | None = None) -> T:
        """Linear layer over tokens; parameters ``{name}.weight`` (O, I) and ``{name}.bias``."""

    def layer_norm(self, x: T, name: str) -> T:
        """Layer norm over the channels of tokens; parameters ``{name}.weight`` and ``{name}.bias``."""
        shape = self.shape(x)
        parameters = {
            "weight": (f"{name}.weight", ParameterSpec((shape.channels,), "layer_norm")),
            "bias": (f"{name}.bias", ParameterSpec((shape.channels,), "bias")),
        }
        operation = Operation("layer_norm", name, shape, attributes={"eps": NORM_EPS}, parameters=parameters)
        return self.run(operation, x)

    @abstractmethod
    def parameter(self, name: str, shape: tuple[int, int]) -> T:
        """A learned tensor of tokens (N, C)."""

    def attention(self, q: T, k: T, v: T, heads: int, scale: float, name: str) -> T:
        """``softmax(scale * q k^T) v`` per head over tokens, channels laid out [head][dim]."""
        query, key, value = self.shape(q), self.shape(k), self.shape(v)
        fits = query.channels == key.channels and key.rows == value.rows
        if not fits or query.channels % heads or value.channels % heads:
            raise ValueError(f"{name}: attention of q {query}, k {key}, v {value} with {heads} heads")
        out = Shape(value.channels, None, query.rows)
        macs = query.rows * key.rows * (query.channels + value.channels)
        attributes = {"heads": heads, "scale": scale}
        return self.run(Operation("attention", name, out, attributes=attributes, macs=macs), q, k, v)

    @abstractmethod
    def axial_attention(self, q: T, k: T, v: T, heads: int, scale: float, name: str) -> T:
        """Squeezed attention along rows and columns of maps: ``relu6(v + rows + columns)``.

        Rows: q, k, v averaged over the width; learned embeddings ``{name}.pos_emb_{rowq,rowk}.pos_embed``
        (1, keys, 16), linearly interpolated to the height, added to q and k; attention; ReLU6; 1x1 ConvBN
        ``{name}.proj_encode_row.1.{c,bn}``. Columns likewise (``columnq``, ``proj_encode_column`` ...).
        """

    def add(self, a: T, b: T, name: str) -> T:
        """Sum of two maps or tokens of one shape."""
        return self.run(Operation("add", name, self._same(a, b, name)), a, b)

    def mul(self, a: T, b: T, name: str) -> T:
        """Product of two maps or tokens of one shape, element by element."""
        return self.run(Operation("multiply", name, self._same(a, b, name)), a, b)

    def activate(self, x: T, activation: Activation, name: str) -> T:
        """An activation on its own."""
        return self.run(Operation("copy", name, self.shape(x), activation, label=activation), x)

    def drop_path(self, x: T, rate: float) -> T:
        """Stochastic depth of a residual branch; identity outside training."""
        return x

    def resize(self, x: T, size: Size, name: str) -> T:
        """Bilinear resize of a map, half-pixel centres, no antialias."""
        return self.run(Operation("resize", name, Shape.map(self.channels(x), size)), x)

    def window_max(self, x: T, kernel_size: int, name: str) -> T:
        """Maximum over ``kernel_size`` x ``kernel_size`` around each place, within the map."""
        label = f"max {kernel_size}x{kernel_size}"
        operation = Operation(
            "window_max", name, self.shape(x), attributes={"window": kernel_size}, label=label
        )
        return self.run(operation, x)

    @abstractmethod
    def constant_map(self, values: NDArray[np.float32], name: str) -> T:
        """A map (h, w, C) of values that follow from the input's size alone."""

    def select(self, places: Sequence[Places[T]], kinds: Sequence[int], count: int, name: str) -> T:
        """The ``count`` best places of all levels as tokens (ours): :mod:`mobileinst.network.selection`."""
        channels = selection.token_channels(len(places), self.channels(places[0].features), len(kinds))
        attributes = {
            "groups": tuple(kinds),
            "candidates": selection.CANDIDATES,
            "overlap": selection.OVERLAP,
            "margin": selection.MARGIN,
            "window_scale": selection.WINDOW_SCALE * selection.WINDOW_LOGIT,
            "least_half": selection.LEAST_HALF,
        }
        maps = [x for p in places for x in (p.kinds, p.objectness, p.boxes, p.features)]
        return self.run(Operation("select", name, Shape(channels, None, count), None, attributes), *maps)

    def average_pool(self, x: T, size: Size, name: str) -> T:
        """Adaptive average pooling with PyTorch's bins."""
        return self.run(Operation("average_pool", name, Shape.map(self.channels(x), size)), x)

    def max_pool(self, x: T, size: Size, name: str) -> T:
        """Adaptive maximum pooling with PyTorch's bins."""
        return self.run(Operation("max_pool", name, Shape.map(self.channels(x), size)), x)

    @abstractmethod
    def concat(self, xs: Sequence[T], name: str) -> T:
        """Maps of one size, joined over channels."""

    @abstractmethod
    def split(self, x: T, widths: Sequence[int]) -> list[T]:
        """A map cut into groups of channels."""

    @abstractmethod
    def tokens(self, x: T) -> T:
        """A map as tokens, row by row."""

    @abstractmethod
    def as_map(self, x: T, size: Size) -> T:
        """Tokens as a map of the given size."""

    @abstractmethod
    def sine_embedding(self, size: Size, channels: int) -> T:
        """Tokens of :func:`mobileinst.network.position.sine_position_embedding`."""

    def _same(self, a: T, b: T, name: str) -> Shape:
        """The shape of both operands."""
        first, second = self.shape(a), self.shape(b)
        if (first.channels, first.rows) != (second.channels, second.rows):
            raise ValueError(f"{name}: expected operands of one shape, got {first} and {second}")
        return first


def conv_bn(ops: Ops[T], x: T, name: str, spec: ConvSpec, keys: tuple[str, str] = ("c", "bn")) -> T:
    """ConvBN (docs/spec.md): convolution without bias, then batch norm, under ``{name}.{keys}``."""
    return ops.conv(x, f"{name}.{keys[0]}", spec._replace(norm=f"{name}.{keys[1]}"))
