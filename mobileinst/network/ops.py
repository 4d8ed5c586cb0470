"""The operations that the network is written in.

Maps are images of features, logically (H, W, C); tokens are rows, logically (N, C). How an interpreter stores
them is its own matter: PyTorch uses (B, C, H, W) and (B, N, C), the native engine (H, W, C) and (N, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mobileinst.network.backbones.features import Places

Activation = Literal["relu", "relu6", "hard_sigmoid", "silu"]
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


class Ops(Protocol[T]):
    """What an interpreter of the network offers. ``T`` stands for its maps and tokens."""

    def channels(self, x: T) -> int:
        """Channels of a map or tokens."""
        ...

    def size(self, x: T) -> Size:
        """Height and width of a map."""
        ...

    def conv(self, x: T, name: str, spec: ConvSpec) -> T:
        """Convolution, then the batch norm if one is named, then the activation.

        Parameters: ``{name}.weight`` (O, I / groups, k, k), ``{name}.bias`` if ``spec.bias``, and the norm's.
        """
        ...

    def linear(self, x: T, name: str, out_features: int, *, activation: Activation | None = None) -> T:
        """Linear layer over tokens; parameters ``{name}.weight`` (O, I) and ``{name}.bias``."""
        ...

    def layer_norm(self, x: T, name: str) -> T:
        """Layer norm over the channels of tokens; parameters ``{name}.weight`` and ``{name}.bias``."""
        ...

    def parameter(self, name: str, shape: tuple[int, int]) -> T:
        """A learned tensor of tokens (N, C)."""
        ...

    def attention(self, q: T, k: T, v: T, heads: int, scale: float, name: str) -> T:
        """``softmax(scale * q k^T) v`` per head over tokens, channels laid out [head][dim]."""
        ...

    def axial_attention(self, q: T, k: T, v: T, heads: int, scale: float, name: str) -> T:
        """Squeezed attention along rows and columns of maps: ``relu6(v + rows + columns)``.

        Rows: q, k, v averaged over the width; learned embeddings ``{name}.pos_emb_{rowq,rowk}.pos_embed``
        (1, keys, 16), linearly interpolated to the height, added to q and k; attention; ReLU6; 1x1 ConvBN
        ``{name}.proj_encode_row.1.{c,bn}``. Columns likewise (``columnq``, ``proj_encode_column`` ...).
        """
        ...

    def add(self, a: T, b: T, name: str) -> T:
        """Sum of two maps or tokens of one shape."""
        ...

    def mul(self, a: T, b: T, name: str) -> T:
        """Product of two maps or tokens of one shape, element by element."""
        ...

    def activate(self, x: T, activation: Activation, name: str) -> T:
        """An activation on its own."""
        ...

    def drop_path(self, x: T, rate: float) -> T:
        """Stochastic depth of a residual branch; identity outside training."""
        ...

    def resize(self, x: T, size: Size, name: str) -> T:
        """Bilinear resize of a map, half-pixel centres, no antialias."""
        ...

    def window_max(self, x: T, kernel_size: int, name: str) -> T:
        """Maximum over ``kernel_size`` x ``kernel_size`` around each place, within the map."""
        ...

    def constant_map(self, values: NDArray[np.float32], name: str) -> T:
        """A map (h, w, C) of values that follow from the input's size alone."""
        ...

    def select(self, places: Sequence[Places[T]], kinds: Sequence[int], count: int, name: str) -> T:
        """The ``count`` best places of all levels as tokens (ours): :mod:`mobileinst.network.selection`."""
        ...

    def average_pool(self, x: T, size: Size, name: str) -> T:
        """Adaptive average pooling with PyTorch's bins."""
        ...

    def max_pool(self, x: T, size: Size, name: str) -> T:
        """Adaptive maximum pooling with PyTorch's bins."""
        ...

    def concat(self, xs: Sequence[T], name: str) -> T:
        """Maps of one size, joined over channels."""
        ...

    def split(self, x: T, widths: Sequence[int]) -> list[T]:
        """A map cut into groups of channels."""
        ...

    def tokens(self, x: T) -> T:
        """A map as tokens, row by row."""
        ...

    def as_map(self, x: T, size: Size) -> T:
        """Tokens as a map of the given size."""
        ...

    def sine_embedding(self, size: Size, channels: int) -> T:
        """Tokens of :func:`mobileinst.network.position.sine_position_embedding`."""
        ...


def conv_bn(ops: Ops[T], x: T, name: str, spec: ConvSpec, keys: tuple[str, str] = ("c", "bn")) -> T:
    """ConvBN (docs/spec.md): convolution without bias, then batch norm, under ``{name}.{keys}``."""
    return ops.conv(x, f"{name}.{keys[0]}", spec._replace(norm=f"{name}.{keys[1]}"))
