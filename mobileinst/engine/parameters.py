"""The tensors of a network, and its layers folded and packed once for all input sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine.backend import Backend, active_backend
from mobileinst.engine.fork_lock import ForkLock
from mobileinst.engine.types import DType
from mobileinst.network.batch_norm import NORM_LEAVES, fold

Array = NDArray[np.float32]


#: Behind a layer's name: what rounding its weights to int8 adds to its outputs on average, float32 (O,).
ROUNDING = ".rounding"


class Normalisation(NamedTuple):
    """(x - mean) / std of an image's channels, x in 0..255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ConvLayer(NamedTuple):
    """A convolution or linear layer by the names of its parameters.

    ``norm`` is the prefix of a batch norm behind it, or None; ``bias`` tells whether the layer has its own.
    """

    name: str
    norm: str | None
    bias: bool
    inputs: int
    outputs: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1

    @property
    def kind(self) -> str:
        """Which native kernel computes it: "gemm", "conv3x3", "depthwise" or "conv_direct"."""
        return _native.conv_kind(self.inputs, self.outputs, self.kernel_size, self.stride, self.groups)


class Parameters:
    """Learned tensors by official name.

    Args:
        tensors: float32 arrays in PyTorch layout; more than are used may be there.
        tier: Instruction-set tier that layers are packed for.
        backend: What computes the layers; None means what MOBILEINST_BACKEND says.

    Raises:
        ValueError: if MOBILEINST_BACKEND names what is unknown or can't be had.
    """

    def __init__(self, tensors: Mapping[str, Array], tier: str, backend: Backend | None = None) -> None:
        self.tier = tier
        self.backend = active_backend(tier) if backend is None else backend
        self._tensors = tensors
        #: Of the programs that are in use, each of which holds its own.
        self._packed: WeakValueDictionary[
            tuple[ConvLayer, int, DType, Normalisation | None], _native.ConvWeights
        ] = WeakValueDictionary()
        self._lock = ForkLock()

    def array(self, name: str) -> Array:
        """A tensor as contiguous float32.

        Raises:
            ValueError: if there is none of that name.
        """
        if name not in self._tensors:
            raise ValueError(f"the weights have no tensor {name!r}")
        return np.ascontiguousarray(self._tensors[name], np.float32)

    def check_shape(self, name: str, expected: tuple[int, ...]) -> None:
        """Raise ValueError unless the tensor is there and has that shape."""
        shape = self._tensors[name].shape if name in self._tensors else self.array(name).shape
        if shape != expected:
            raise ValueError(f"{name}: expected shape {expected}, got {shape}")

    def packed(
        self,
        layer: ConvLayer,
        winograd_tile: int = 6,
        dtype: DType = "float32",
        normalisation: Normalisation | None = None,
    ) -> _native.ConvWeights:
        """The layer's weights with its batch norm folded in, packed for the tier; kept while they are held.

        Args:
            layer: What to pack.
            winograd_tile: Outputs on each side of the tiles of a 3x3 convolution at stride 1. Plans whose
                maps want the same tiles share the weights.
            dtype: Type of the inputs that they are multiplied with.
            normalisation: Folded in, too, so that the inputs are an image's bytes.
        """
        key = layer, winograd_tile, dtype, normalisation
        with self._lock:
            packed = self._packed.get(key)
            if packed is None:
                weight, bias = self.folded(layer)
                if normalisation is not None:
                    weight, bias = normalised(weight, bias, normalisation)
                shift = self._tensors.get(f"{layer.name}{ROUNDING}") if dtype == "int8" else None
                if shift is not None:
                    bias = np.ascontiguousarray((0.0 if bias is None else bias) - shift, np.float32)
                packed = _native.ConvWeights(
                    weight, bias, layer.stride, layer.groups, self.tier, winograd_tile, dtype
                )
                self._packed[key] = packed
            return packed

    @property
    def packed_bytes(self) -> int:
        """Memory of all packed weights that are in use."""
        return sum(packed.bytes for packed in self._packed.values())

    def folded(self, layer: ConvLayer) -> tuple[Array, Array | None]:
        """Weight (O, I / groups, k, k) and bias (O,) with the batch norm folded in, in double precision."""
        weight = self.array(f"{layer.name}.weight")
        weight = weight.reshape(*weight.shape[:2], *(weight.shape[2:] or (1, 1)))
        bias = self.array(f"{layer.name}.bias") if layer.bias else None
        if layer.norm is None:
            return weight, bias
        return fold(weight, bias, (self.array(f"{layer.norm}.{leaf}") for leaf in NORM_LEAVES))


def normalised(weight: Array, bias: Array | None, normalisation: Normalisation) -> tuple[Array, Array]:
    """Weights and bias that a normalisation of the inputs, outside the image too, is folded into."""
    scaled = weight.astype(np.float64) / np.asarray(normalisation.std)[:, None, None]
    shift = np.einsum("oikl,i->o", scaled, np.asarray(normalisation.mean, np.float64))
    shifted = (0.0 if bias is None else bias.astype(np.float64)) - shift
    return scaled.astype(np.float32), np.ascontiguousarray(shifted, np.float32)


def rounding_shift(weight: Array, means: Array) -> Array:
    """What rounding weights (O, I / groups, k, k) to int8 adds to outputs, for inputs (I,) of such means."""
    outputs, inputs = weight.shape[:2]
    largest = np.abs(weight).max((1, 2, 3), keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1))
    errors = (np.rint(weight / scale) * scale - weight).sum((2, 3), dtype=np.float64)
    groups = len(means) // inputs
    by_group = np.repeat(means.reshape(groups, inputs), outputs // groups, 0)
    return np.asarray((errors * by_group).sum(1), np.float32)
