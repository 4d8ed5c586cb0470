"""PyTorch interpreter of the network: training, export and reference outputs.

Maps are tensors (B, C, H, W), tokens (B, N, C).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
except ImportError as error:  # pragma: no cover
    raise ImportError('weights_tools needs PyTorch: pip install "mobileinst[train]"') from error

from mobileinst.network import (
    Features,
    ModelConfig,
    Predictions,
    features,
    instance_decoder,
    instances,
    model,
)
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.counter import ParameterSpec, parameter_specs
from mobileinst.network.ops import NORM_EPS, Activation, Size
from mobileinst.network.position import sine_position_embedding

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_sigmoid": F.hardsigmoid,
}


class TorchOps:
    """:class:`~mobileinst.network.ops.Ops` over tensors, with the parameters of a module tree."""

    def __init__(self, root: nn.Module) -> None:
        self._root = root

    def channels(self, x: Tensor) -> int:
        return x.shape[1] if x.ndim == 4 else x.shape[2]

    def size(self, x: Tensor) -> Size:
        return x.shape[2], x.shape[3]

    def conv(
        self,
        x: Tensor,
        name: str,
        out_channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm: str | None = None,
        bias: bool = False,
        activation: Activation | None = None,
        zero_init: bool = False,
    ) -> Tensor:
        shift = self._get(f"{name}.bias") if bias else None
        x = F.conv2d(x, self._get(f"{name}.weight"), shift, stride, kernel // 2, groups=groups)
        if norm is not None:
            x = self._root.get_submodule(norm)(x)
        return self._activate(x, activation)

    def linear(
        self, x: Tensor, name: str, out_features: int, *, activation: Activation | None = None
    ) -> Tensor:
        return self._activate(F.linear(x, self._get(f"{name}.weight"), self._get(f"{name}.bias")), activation)

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self._get(f"{name}.weight"), self._get(f"{name}.bias"), NORM_EPS)

    def parameter(self, name: str, shape: tuple[int, int]) -> Tensor:
        return self._get(name)[None]

    def attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, name: str) -> Tensor:
        def per_head(x: Tensor) -> Tensor:
            return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

        q = q.expand(k.shape[0], -1, -1)
        y = F.scaled_dot_product_attention(per_head(q), per_head(k), per_head(v), scale=scale)
        return y.transpose(1, 2).flatten(2)

    def axial_attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, name: str) -> Tensor:
        def positions(part: str, length: int) -> Tensor:
            table = self._get(f"{name}.pos_emb_{part}.pos_embed")
            return F.interpolate(table, length, mode="linear", align_corners=False)

        out = v
        for axis, squeezed in (("row", 3), ("column", 2)):
            rows, keys, values = (x.mean(squeezed) for x in (q, k, v))
            rows = rows + positions(f"{axis}q", rows.shape[2])
            keys = keys + positions(f"{axis}k", keys.shape[2])
            rows, keys, values = (x.transpose(1, 2) for x in (rows, keys, values))
            y = self.attention(rows, keys, values, heads, scale, name).transpose(1, 2)
            encode = f"{name}.proj_encode_{axis}.1"
            y = F.conv2d(F.relu6(y.unsqueeze(squeezed)), self._get(f"{encode}.c.weight"))
            out = out + self._root.get_submodule(f"{encode}.bn")(y)
        return F.relu6(out)

    def add(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        return a + b

    def mul(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        return a * b

    def activate(self, x: Tensor, activation: Activation, name: str) -> Tensor:
        return self._activate(x, activation)

    def drop_path(self, x: Tensor, rate: float) -> Tensor:
        if not self._root.training or rate == 0.0:
            return x
        keep = torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), device=x.device) >= rate
        return x * (keep / (1.0 - rate)).to(x.dtype)

    def resize(self, x: Tensor, size: Size, name: str) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=False)

    def average_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        return F.adaptive_avg_pool2d(x, size)

    def max_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        return F.adaptive_max_pool2d(x, size)

    def concat(self, xs: Sequence[Tensor], name: str) -> Tensor:
        return torch.cat(list(xs), 1)

    def split(self, x: Tensor, widths: Sequence[int]) -> list[Tensor]:
        return list(torch.split(x, list(widths), 1))

    def tokens(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)

    def as_map(self, x: Tensor, size: Size) -> Tensor:
        return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *size)

    def sine_embedding(self, size: Size, channels: int) -> Tensor:
        table = torch.from_numpy(sine_position_embedding(size, channels))
        return table[None].to(next(self._root.parameters()).device)

    def _get(self, name: str) -> Tensor:
        owner, _, leaf = name.rpartition(".")
        tensor = getattr(self._root.get_submodule(owner), leaf)
        assert isinstance(tensor, Tensor)
        return tensor

    @staticmethod
    def _activate(x: Tensor, activation: Activation | None) -> Tensor:
        return x if activation is None else _ACTIVATIONS[activation](x)


class MobileInst(nn.Module):
    """The whole network as a PyTorch module; ``state_dict()`` has the names of the weights file.

    Args:
        config: What to build. Parameters are initialised as the official codes do (spec a, c.4).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        for name, spec in parameter_specs(config).items():
            _add_parameter(self, name, spec)
        self._ops = TorchOps(self)
        _initialise_heads(self)

    def use_ops(self, ops: TorchOps) -> None:
        """Compute with other operations on the same parameters from now on."""
        self._ops = ops

    def backbone_features(self, images: Tensor) -> BackboneFeatures[Tensor]:
        """X3..X6 of normalised images (B, 3, H, W)."""
        return model.backbone(self._ops, images, self.config)

    def features(self, images: Tensor) -> Features[Tensor]:
        """Mask features, X_L and X6 of normalised images (B, 3, H, W)."""
        return features(self._ops, images, self.config)

    def instances(
        self, inputs: Features[Tensor], queries_global: Tensor | None = None
    ) -> Predictions[Tensor]:
        """Kernels, class and objectness logits; ``queries_global`` (B, N, hidden) may be another frame's."""
        return instances(self._ops, inputs, self.config, queries_global)

    def decode_heads(self, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, objectness logits and kernels of any queries (B, N, hidden), for auxiliary losses."""
        return instance_decoder.heads(self._ops, queries, self.config)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """All outputs of normalised images (B, 3, H, W).

        Returns:
            ``class_logits`` (B, N, classes), ``objectness_logits`` (B, N), ``kernels`` (B, N, D),
            ``mask_features`` (B, D, h8, w8), ``mask_logits`` (B, N, h8, w8),
            ``queries_global`` (B, N, hidden), ``pooled`` and ``x6``.
        """
        found = self.features(images)
        out = self.instances(found)
        return {
            "class_logits": out.class_logits,
            "objectness_logits": out.objectness_logits[..., 0],
            "kernels": out.kernels,
            "mask_features": found.mask_features,
            "mask_logits": mask_product(out.kernels, found.mask_features),
            "queries_global": out.queries_global,
            "pooled": found.pooled,
            "x6": found.x6,
        }


def mask_product(kernels: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits (B, N, h, w) of kernels (B, N, D) and mask features (B, D, h, w)."""
    return (kernels @ mask_features.flatten(2)).reshape(*kernels.shape[:2], *mask_features.shape[2:])


def _add_parameter(root: nn.Module, name: str, spec: ParameterSpec) -> None:
    """Create the tensor ``name`` in a tree of plain modules whose path is the name."""
    path, _, leaf = name.rpartition(".")
    owner = root
    for part in path.split("."):
        if part not in dict(owner.named_children()):
            owner.add_module(part, nn.Module())
        owner = owner.get_submodule(part)
    if spec.kind in ("norm", "zero_norm"):
        norm = nn.BatchNorm2d(spec.shape[0], eps=NORM_EPS)
        if spec.kind == "zero_norm":
            nn.init.zeros_(norm.weight)
        owner.add_module(leaf, norm)
        return
    owner.register_parameter(leaf, nn.Parameter(_initial(spec)))


def _initial(spec: ParameterSpec) -> Tensor:
    """Initial values: convolutions N(0, sqrt(2 / fan out)) as TopFormer, linear Xavier, tokens N(0,1)."""
    tensor = torch.zeros(spec.shape)
    if spec.kind == "conv":
        # fan out per group: k * k * out / groups; a depthwise convolution has one input channel a group
        depthwise = spec.shape[1] == 1 and spec.shape[2] > 1
        fan_out = spec.shape[2] * spec.shape[3] * (1 if depthwise else spec.shape[0])
        tensor.normal_(0.0, math.sqrt(2.0 / fan_out))
    elif spec.kind == "linear":
        nn.init.xavier_uniform_(tensor)
    elif spec.kind == "layer_norm":
        tensor.fill_(1.0)
    elif spec.kind in ("tokens", "positions"):
        tensor.normal_()
    return tensor


def _initialise_heads(root: MobileInst) -> None:
    """SparseInst's initialisation of the heads (spec c.4): rare positives at first, small kernels."""
    prior = 0.01
    for name in ("class", "kernel"):
        nn.init.normal_(root.get_parameter(f"instance_decoder.{name}.weight"), std=0.01)
    nn.init.constant_(root.get_parameter("instance_decoder.class.bias"), -math.log((1 - prior) / prior))


def load_state(root: MobileInst, tensors: dict[str, Any]) -> None:
    """Load NumPy arrays or tensors under the names of the weights file; every name must be there."""
    state = {name: torch.as_tensor(value) for name, value in tensors.items()}
    counters = {name: torch.tensor(0) for name in root.state_dict() if name.endswith("num_batches_tracked")}
    root.load_state_dict({**counters, **state})
