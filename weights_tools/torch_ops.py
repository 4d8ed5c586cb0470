"""PyTorch interpreter of the network: training, export and reference outputs.

Maps are tensors (B, C, H, W), tokens (B, N, C).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    selection,
)
from mobileinst.network.backbones.features import BackboneFeatures, Places
from mobileinst.network.counter import parameter_specs
from mobileinst.network.instance_decoder import Queries
from mobileinst.network.ops import NORM_EPS, Activation, ConvSpec, Ops, ParameterSpec, Size
from mobileinst.network.position import sine_position_embedding

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_sigmoid": F.hardsigmoid,
    "silu": F.silu,
}


_PROJECTION = "mask_decoder.projection"

#: Layers whose sums cancel, computed in float32 in mixed precision too: where the basis of windows passes.
_EXACT = (_PROJECTION,)


class TorchOps(Ops[Tensor]):
    """Operations over tensors, with the parameters of a module tree."""

    def __init__(self, root: nn.Module) -> None:
        self._root = root

    def channels(self, x: Tensor) -> int:
        return x.shape[1] if x.ndim == 4 else x.shape[2]

    def size(self, x: Tensor) -> Size:
        return x.shape[2], x.shape[3]

    def conv(self, x: Tensor, name: str, spec: ConvSpec) -> Tensor:
        shift = self._get(f"{name}.bias") if spec.bias else None
        if name in _EXACT:
            with torch.autocast(x.device.type, enabled=False):
                rows = F.linear(x.float().flatten(2).transpose(1, 2), self._get(f"{name}.weight")[:, :, 0, 0])
                rows = rows if shift is None else rows + shift
                return rows.transpose(1, 2).unflatten(2, x.shape[2:])
        padding = spec.kernel_size // 2
        x = F.conv2d(x, self._get(f"{name}.weight"), shift, spec.stride, padding, groups=spec.groups)
        if spec.norm is not None:
            x = self._root.get_submodule(spec.norm)(x)
        return self._activate(x, spec.activation)

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
        if q.device.type == "cpu" and torch.is_grad_enabled():
            # so few tokens are several times as fast this way, forwards and backwards
            y = ((per_head(q) * scale) @ per_head(k).transpose(2, 3)).softmax(3).to(v.dtype) @ per_head(v)
        else:
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

    def window_max(self, x: Tensor, kernel_size: int, name: str) -> Tensor:
        return F.max_pool2d(x, kernel_size, stride=1, padding=kernel_size // 2)

    def constant_map(self, values: NDArray[np.float32], name: str) -> Tensor:
        device = next(self._root.parameters()).device
        return torch.from_numpy(values).permute(2, 0, 1)[None].to(device)

    def select(self, places: Sequence[Places[Tensor]], kinds: Sequence[int], count: int, name: str) -> Tensor:
        return select(places, kinds, count)

    def average_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        return F.adaptive_avg_pool2d(x, size)

    def max_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        return F.adaptive_max_pool2d(x, size)

    def concat(self, xs: Sequence[Tensor], name: str) -> Tensor:
        batch = max(x.shape[0] for x in xs)
        return torch.cat([x.expand(batch, -1, -1, -1) for x in xs], 1)

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
        config: What to build. Parameters are initialised as the official codes do.
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
        self, inputs: Features[Tensor], queries_global: Queries[Tensor] | None = None
    ) -> Predictions[Tensor]:
        """Kernels, class and objectness logits; ``queries_global`` may be another frame's."""
        return instances(self._ops, inputs, self.config, queries_global)

    def decode_heads(self, queries: Queries[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, objectness logits and kernels of any queries, for auxiliary losses."""
        return instance_decoder.heads(self._ops, queries, self.config)

    def project(self, mask_map: Tensor) -> Tensor:
        """Mask features (B, D, h, w) of a mask map (B, C, h, w)."""
        return self._ops.conv(mask_map, _PROJECTION, ConvSpec(self.config.kernel_dim, bias=True))

    def map_logits(self, kernels: Tensor, mask_map: Tensor) -> Tensor:
        """Mask logits (B, N, h, w) of kernels (B, N, D) and a mask map (B, C, h, w).

        The product with the map's projection, with the kernels projected instead of all of the map.
        """
        windowed = self.config.query_source == "places"
        first = selection.WINDOW_CHANNELS if windowed else 0
        with torch.autocast(kernels.device.type, enabled=False):
            weight = self.get_parameter(f"{_PROJECTION}.weight")[first:, :, 0, 0]
            rows = kernels.float()[..., first:]
            constant = rows @ self.get_parameter(f"{_PROJECTION}.bias")[first:]
            product = mask_product(rows @ weight, mask_map) + constant[..., None, None]
        return add_windows(product, kernel_boxes(kernels)) if windowed else product

    def forward(self, images: Tensor, *, masks: bool = True) -> dict[str, Any]:
        """All outputs of normalised images (B, 3, H, W).

        Args:
            masks: Whether mask logits are wanted.

        Returns:
            ``class_logits`` (B, N, classes), ``objectness_logits`` (B, N), ``kernels`` (B, N, D),
            ``mask_features`` (B, D, h, w), ``mask_map`` (B, C, h, w), ``mask_logits`` (B, N, h, w),
            ``queries_global`` (:class:`Queries`), ``pooled``, ``x6`` and ``places``.
        """
        found = self.features(images)
        out = self.instances(found)
        product = windowed_logits if self.config.query_source == "places" else mask_product
        logits = {"mask_logits": product(out.kernels, found.mask_features)} if masks else {}
        return logits | {
            "class_logits": out.class_logits,
            "objectness_logits": out.objectness_logits[..., 0],
            "kernels": out.kernels,
            "mask_features": found.mask_features,
            "mask_map": found.mask_map,
            "queries_global": out.queries_global,
            "pooled": found.pooled,
            "x6": found.x6,
            "places": found.places,
        }


def select(places: Sequence[Places[Tensor]], groups: Sequence[int], count: int) -> Tensor:
    """:func:`mobileinst.network.selection.select` of a batch: tokens (B, count, channels).

    Gradients reach features, boxes and logits of the chosen places, not the choice.
    """

    def rows(name: str) -> list[Tensor]:
        return [getattr(p, name).flatten(2).transpose(1, 2).float() for p in places]

    kinds, objectness = torch.cat(rows("kinds"), 1), torch.cat(rows("objectness"), 1)
    boxes, features = torch.cat(rows("boxes"), 1), rows("features")
    best = torch.stack([x.amax(2) for x in kinds.split(list(groups), 2)], 2)
    scores = objectness.sigmoid() * best.sigmoid()
    order = _best_places(scores.detach().amax(2), boxes.detach(), count)
    width = features[0].shape[2] + 1
    padded = []
    for level, rows_of_level in enumerate(features):
        known = F.pad(rows_of_level, (0, 1), value=1.0)
        padded.append(F.pad(known, (level * width, (len(features) - 1 - level) * width)))

    def chosen(x: Tensor) -> Tensor:
        return x.gather(1, order[..., None].expand(-1, -1, x.shape[2]))

    score = chosen(scores).clamp(selection.MARGIN, 1.0 - selection.MARGIN)
    box = chosen(boxes)
    tower = chosen(torch.cat(padded, 1))
    rows_found = torch.cat([tower, torch.logit(score), box, _box_frequencies(box), _windows(box)], 2)
    missing = count - int(rows_found.shape[1])
    if missing == 0:
        return rows_found
    empty = selection.empty_rows(missing, len(features), width - 1, len(groups))
    filling = torch.from_numpy(empty).to(rows_found.device)[None].expand(rows_found.shape[0], -1, -1)
    return torch.cat([rows_found, filling], 1)


def _best_places(scores: Tensor, boxes: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the places to take, from scores (B, N) and boxes (B, N, 4)."""
    candidates = min(selection.CANDIDATES, int(scores.shape[1]))
    order = scores.topk(candidates, 1).indices
    box = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    half = box[..., 2:].clamp(-20.0, 20.0).exp() / 2
    low, high = box[..., :2] - half, box[..., :2] + half
    sides = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])
    inter = sides.clamp(min=0.0).prod(3)
    area = (high - low).prod(2)
    overlap = inter / (area[:, :, None] + area[:, None] - inter + 1e-9)
    late = ((overlap > selection.OVERLAP).float().triu(1)).amax(1)
    rank = torch.arange(candidates, device=scores.device, dtype=torch.float32)
    first = (-(late * candidates) - rank).topk(min(count, candidates), 1).indices
    return order.gather(1, first)


def _box_frequencies(box: Tensor) -> Tensor:
    """:func:`mobileinst.network.position.box_frequencies` of boxes (B, N, 4)."""
    turns = torch.tensor([1.0, 2.0, 4.0, 8.0], device=box.device) * math.pi
    angle = box[..., :2, None] * turns
    return torch.cat([angle.sin(), angle.cos()], 3).flatten(2)


def _windows(box: Tensor) -> Tensor:
    """:func:`mobileinst.network.selection.windows` of boxes (B, N, 4)."""
    half = (box[..., 2:].clamp(-20.0, 20.0).exp() / 2).clamp(min=selection.LEAST_HALF)
    steep, centre = half.square().reciprocal(), box[..., :2] - 0.5
    middle = 1.0 - (centre.square() * steep).sum(2, keepdim=True)
    return torch.cat([2.0 * centre * steep, -steep, middle], 2) * (
        selection.WINDOW_LOGIT * selection.WINDOW_SCALE
    )


def kernel_boxes(kernels: Tensor) -> Tensor:
    """:func:`mobileinst.network.selection.kernel_boxes` of kernels (..., D)."""
    windows = kernels.detach().float()[..., : selection.BASIS_CHANNELS] / (
        selection.WINDOW_LOGIT * selection.WINDOW_SCALE
    )
    half = (-windows[..., 2:]).clamp(min=1e-6).rsqrt()
    centre = windows[..., :2] * half.square() / 2 + 0.5
    return torch.cat([centre - half, centre + half], -1)


def windowed_logits(kernels: Tensor, mask_features: Tensor) -> Tensor:
    """:func:`mobileinst.network.selection.windowed_logits` of batches."""
    first = selection.WINDOW_CHANNELS
    product = mask_product(kernels[..., first:], mask_features[:, first:])
    return add_windows(product, kernel_boxes(kernels))


def add_windows(product: Tensor, boxes: Tensor) -> Tensor:
    """:func:`mobileinst.network.selection.add_windows` of batches, with no margin."""
    window = torch.full_like(product[..., :1, :1], selection.WINDOW_LOGIT)
    near = []
    for axis, count in ((0, int(product.shape[3])), (1, int(product.shape[2]))):
        middles = (torch.arange(count, device=boxes.device) + 0.5) / count
        centre = (boxes[..., axis : axis + 1] + boxes[..., axis + 2 : axis + 3]) / 2
        half = (boxes[..., axis + 2 : axis + 3] - boxes[..., axis : axis + 1]) / 2
        distance = (middles - centre).abs()
        shape = (*distance.shape[:2], 1, count) if axis == 0 else (*distance.shape[:2], count, 1)
        least = half.clamp(min=selection.LEAST_CELLS / count)
        window = window - selection.WINDOW_LOGIT * (distance / least).square().reshape(shape)
        near.append((distance <= half + 1.0 / count).reshape(shape))
    return torch.where(near[0] & near[1], product + window, torch.full_like(product, selection.OUTSIDE_LOGIT))


def mask_product(kernels: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits (B, N, h, w) of kernels (B, N, D) and mask features (B, D, h, w), in float32."""
    with torch.autocast(kernels.device.type, enabled=False):
        product = kernels.float() @ mask_features.float().flatten(2)
    return product.reshape(*kernels.shape[:2], *mask_features.shape[2:])


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
    """SparseInst's initialisation of the heads (docs/spec.md): rare positives at first, small kernels."""
    prior = 0.01
    for name in ("class", "kernel"):
        nn.init.normal_(root.get_parameter(f"instance_decoder.{name}.weight"), std=0.01)
    bias = root.get_parameter("instance_decoder.class.bias")
    nn.init.constant_(bias, -math.log((1 - prior) / prior))
    if root.config.mask_stride == 4:  # masks start as those of the coarser map
        nn.init.zeros_(root.get_parameter("mask_decoder.detail.fine.weight"))
    if root.config.query_source == "places":
        nn.init.zeros_(bias)
        _start_from_places(root)


@torch.no_grad()
def _start_from_places(root: MobileInst) -> None:
    """Class logits of queries that began as places start as those of the places, their masks as ellipses."""
    nn.init.zeros_(root.get_parameter("instance_decoder.class.weight"))
    projection = root.get_parameter("mask_decoder.projection.weight")
    basis = selection.BASIS_CHANNELS
    projection[: selection.WINDOW_CHANNELS] = 0.0
    projection[:, -basis:] = 0.0
    projection[:basis, -basis:, 0, 0] = torch.eye(basis) / selection.WINDOW_SCALE
    root.get_parameter("mask_decoder.projection.bias")[basis] = 1.0 / selection.WINDOW_SCALE


def load_state(root: MobileInst, tensors: dict[str, Any]) -> None:
    """Load NumPy arrays or tensors under the names of the weights file; every name must be there."""
    state = {name: torch.as_tensor(value) for name, value in tensors.items()}
    counters = {name: torch.tensor(0) for name in root.state_dict() if name.endswith("num_batches_tracked")}
    root.load_state_dict({**counters, **state})
