"""The network on NumPy arrays: its functions over :mod:`mobileinst.ops`, one native operation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..network.backbones import seaformer
from ..network.backbones.blocks import TransformerSpec
from ..network.backbones.features import Places
from ..network.batch_norm import NORM_LEAVES
from ..network.mask_decoder import semantic_enhancer as network_enhancer
from ..network.ops import Activation, ConvSpec, Operation, Ops, Shape, Size
from ..network.position import sine_position_embedding
from ..network.selection import select
from .arrays import Array, float_array, to_pixels, to_planes
from .attentions import axial_attention
from .convolutions import conv2d, fold_batch_norm, linear
from .maps import hard_sigmoid, relu, relu6, resize_bilinear, silu
from .node import run_node

_ACTIVATIONS = {"relu": relu, "relu6": relu6, "hard_sigmoid": hard_sigmoid, "silu": silu}


class NumpyOps(Ops[Array]):
    """Operations over float32 arrays: maps (C, H, W), tokens (N, C).

    It fuses nothing and keeps nothing between calls: slower than the engine, and each value can be looked at.

    Args:
        tensors: parameters by official name, as `Weights.tensors` holds them.

    Raises:
        KeyError: by an operation whose parameter is missing.

    Example:
        >>> from mobileinst.network import features, instances
        >>> weights = mobileinst.load_weights()                                  # doctest: +SKIP
        >>> ops = NumpyOps(weights.tensors)                                      # doctest: +SKIP
        >>> found = features(ops, image, weights.config)                         # doctest: +SKIP
        >>> instances(ops, found, weights.config).kernels.shape                  # doctest: +SKIP
        (100, 128)
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = tensors

    def shape(self, x: Array) -> Shape:
        return Shape.map(len(x), (x.shape[1], x.shape[2])) if x.ndim == 3 else Shape(x.shape[1], None, len(x))

    def run(self, operation: Operation, *inputs: Array) -> Array:
        attributes = dict(operation.attributes)
        attributes |= {key: self._tensors[name] for key, (name, _) in operation.parameters.items()}
        out = operation.shape
        y = run_node(
            operation.kind,
            [to_pixels(x) if x.ndim == 3 else x for x in inputs],
            (*(out.size or (out.rows,)), out.channels),
            activation=operation.activation,
            **attributes,
        )
        return to_planes(y) if y.ndim == 3 else y

    def conv(self, x: Array, name: str, spec: ConvSpec) -> Array:
        weight, shift = self._folded(name, spec.norm, spec.bias)
        return conv2d(x, weight, shift, stride=spec.stride, groups=spec.groups, activation=spec.activation)

    def linear(
        self, x: Array, name: str, out_features: int, *, activation: Activation | None = None
    ) -> Array:
        return linear(
            x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"], activation=activation
        )

    def parameter(self, name: str, shape: tuple[int, int]) -> Array:
        return self._tensors[name]

    def axial_attention(self, q: Array, k: Array, v: Array, heads: int, scale: float, name: str) -> Array:
        def positions(axis: str) -> tuple[Array, Array]:
            queries, keys = (self._tensors[f"{name}.pos_emb_{axis}{part}.pos_embed"][0] for part in "qk")
            return queries, keys

        def encode(axis: str) -> tuple[Array, Array]:
            layer = f"{name}.proj_encode_{axis}.1"
            weight, shift = self._folded(f"{layer}.c", f"{layer}.bn", False)
            assert shift is not None
            return weight[:, :, 0, 0], shift

        return axial_attention(
            q,
            k,
            v,
            heads,
            row_positions=positions("row"),
            column_positions=positions("column"),
            row_layer=encode("row"),
            column_layer=encode("column"),
            scale=scale,
        )

    def add(self, a: Array, b: Array, name: str) -> Array:
        return a + b

    def mul(self, a: Array, b: Array, name: str) -> Array:
        return a * b

    def activate(self, x: Array, activation: Activation, name: str) -> Array:
        return _ACTIVATIONS[activation](x)

    def window_max(self, x: Array, kernel_size: int, name: str) -> Array:
        margin = (kernel_size // 2, kernel_size // 2)
        padded = np.pad(x, ((0, 0), margin, margin), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel_size, kernel_size), (1, 2))
        return np.asarray(windows.max((3, 4)))

    def constant_map(self, values: Array, name: str) -> Array:
        return to_planes(values)

    def select(self, places: Sequence[Places[Array]], kinds: Sequence[int], count: int, name: str) -> Array:
        def rows(part: str) -> list[Array]:
            return [self.tokens(getattr(place, part)) for place in places]

        objectness = [tokens[:, 0] for tokens in rows("objectness")]
        return select(rows("kinds"), objectness, rows("boxes"), rows("features"), kinds, count)

    def concat(self, xs: Sequence[Array], name: str) -> Array:
        return np.concatenate(xs)

    def split(self, x: Array, widths: Sequence[int]) -> list[Array]:
        return np.split(x, np.cumsum(widths)[:-1])

    def tokens(self, x: Array) -> Array:
        return np.asarray(x.reshape(len(x), -1).T)

    def as_map(self, x: Array, size: Size) -> Array:
        return np.asarray(x.T.reshape(x.shape[1], *size))

    def sine_embedding(self, size: Size, channels: int) -> Array:
        return sine_position_embedding(size, channels)

    def _folded(self, name: str, norm: str | None, bias: bool) -> tuple[Array, Array | None]:
        """Weight and bias of a convolution with the batch norm behind it."""
        weight = self._tensors[f"{name}.weight"]
        shift = self._tensors[f"{name}.bias"] if bias else None
        if norm is None:
            return weight, shift
        gamma, beta, mean, variance = (self._tensors[f"{norm}.{leaf}"] for leaf in NORM_LEAVES)
        return fold_batch_norm(weight, shift, gamma, beta, mean, variance)


def semantic_enhancer(local: Array, semantics: Array) -> Array:
    """The paper's semantic enhancer (Fig. 3): ``local * semantics + semantics``.

    Args:
        local: Map (C, H, W).
        semantics: Map (C, h, w); resized to (H, W) if it has another size.

    Returns:
        (C, H, W).

    Example:
        >>> semantic_enhancer(np.float32([[[2, 0]]]), np.float32([[[5]]]))
        array([[[15.,  5.]]], dtype=float32)
    """
    for name, x in (("local", local), ("semantics", semantics)):
        float_array(x, name, 3)
    if len(local) != len(semantics):
        raise ValueError(f"semantics: expected {len(local)} channels, got {len(semantics)}")
    if semantics.shape != local.shape:
        semantics = resize_bilinear(semantics, (local.shape[1], local.shape[2]))
    return network_enhancer(NumpyOps({}), local, semantics, "enhancer")


def squeeze_axial_attention(
    x: Array, tensors: Mapping[str, Array], heads: int, key_dim: int, *, prefix: str = ""
) -> Array:
    """SeaFormer's whole attention block: axial attention gates a detail branch.

    Args:
        x: Map (C, H, W).
        tensors: Parameters under official names: ``to_q.c.weight``, ``to_q.bn.weight``, ...,
            ``pos_emb_rowq.pos_embed`` (1, heads * key_dim, 16), ``proj_encode_row.1.c.weight``, ...
        heads, key_dim: As in the configuration; values have 2 * key_dim channels per head.
        prefix: What stands before the names, such as ``backbone.trans1.transformer_blocks.0.attn.``.

    Returns:
        (C, H, W), before the residual is added.

    Raises:
        KeyError: if a tensor is missing.

    Example:
        >>> weights = mobileinst.load_weights("seaformer.safetensors", kind=None)  # doctest: +SKIP
        >>> name = "backbone.trans1.transformer_blocks.0.attn."  # doctest: +SKIP
        >>> y = squeeze_axial_attention(x, weights.tensors, 4, 16, prefix=name)  # doctest: +SKIP
    """
    keys = len(tensors[f"{prefix}to_q.c.weight"])
    if keys != heads * key_dim:
        raise ValueError(f"heads * key_dim: expected {keys}, got {heads} * {key_dim}")
    block = {f"attn.{name[len(prefix) :]}": t for name, t in tensors.items() if name.startswith(prefix)}
    return seaformer.axial_attention(NumpyOps(block), x, "attn", TransformerSpec(1, heads, key_dim, 1))
