"""The model to be trained: frozen norms, initial backbone weights, initial queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobileinst.network import ModelConfig
from mobileinst.network.counter import parameter_specs
from mobileinst.network.ops import NORM_EPS, ConvSpec
from mobileinst.network.position import sine_position_embedding
from mobileinst.weights import read_safetensors, widen_int8
from weights_tools.torch_ops import MobileInst, TorchOps


class FrozenNormOps(TorchOps):
    """Batch norms below some prefixes keep their statistics and are folded into their convolutions.

    Folding in the forward pass saves one pass over the largest maps; gamma and beta stay trainable.
    """

    def __init__(self, root: MobileInst, prefixes: Sequence[str]) -> None:
        super().__init__(root)
        self._prefixes = tuple(prefixes)

    def conv(self, x: Tensor, name: str, spec: ConvSpec) -> Tensor:
        if spec.norm is None or spec.bias or not spec.norm.startswith(self._prefixes):
            return super().conv(x, name, spec)
        layer = self._root.get_submodule(spec.norm)
        assert isinstance(layer, torch.nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        scale = layer.weight * (layer.running_var + layer.eps).rsqrt()
        shift = layer.bias - layer.running_mean * scale
        weight = self._get(f"{name}.weight") * scale[:, None, None, None]
        y = F.conv2d(x, weight, shift, spec.stride, spec.kernel_size // 2, groups=spec.groups)
        return self._activate(y, spec.activation)


class TrainedModel(MobileInst):
    """MobileInst with frozen batch-norm statistics below the given prefixes."""

    def __init__(self, config: ModelConfig, frozen_norms: Sequence[str] = ()) -> None:
        super().__init__(config)
        if frozen_norms:
            self._ops = FrozenNormOps(self, frozen_norms)


def _norm_name(conv: str) -> str:
    """torchvision's batch norm of a convolution: the next index of the sequence."""
    head, _, index = conv.rpartition(".")
    return f"{head}.{int(index) + 1}"


def load_folded_backbone(model: MobileInst, arrays: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Load MobileNetV2 weights whose batch norms are folded (convolution weight and bias, torchvision names).

    The norms become the identity plus the bias, with mean 0 and variance 1 (less eps).

    Returns:
        Names in ``arrays`` that the model has no use for (classifier).

    Raises:
        ValueError: if a convolution of the backbone's ``features`` is missing or has another shape.
    """
    state = model.state_dict()
    used, loaded = set(), dict(state)
    for name in state:
        conv, leaf = name.rpartition(".")[::2]
        if not conv.startswith("backbone.features.") or leaf != "weight" or state[name].ndim != 4:
            continue
        key = conv.removeprefix("backbone.")
        for wanted in (f"{key}.weight", f"{key}.bias"):
            if wanted not in arrays:
                raise ValueError(f"the backbone weights lack {wanted}")
            used.add(wanted)
        weight, bias = (
            torch.from_numpy(np.array(arrays[f"{key}.{p}"], np.float32)) for p in ("weight", "bias")
        )
        if weight.shape != state[name].shape:
            raise ValueError(f"{key}.weight is {tuple(weight.shape)}, expected {tuple(state[name].shape)}")
        norm = _norm_name(conv)
        loaded[name] = weight
        loaded[f"{norm}.bias"] = bias
        loaded[f"{norm}.weight"] = torch.ones_like(bias)
        loaded[f"{norm}.running_mean"] = torch.zeros_like(bias)
        loaded[f"{norm}.running_var"] = torch.full_like(bias, 1.0 - NORM_EPS)
    if not used:
        raise ValueError("folded backbone weights fit MobileNetV2 only")
    model.load_state_dict(loaded)
    return sorted(set(arrays) - used)


_COARSE = "mask_decoder.detail.coarse.weight"
_PROJECTION = "mask_decoder.projection.weight"


def narrowed(tensors: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The mask map through a layer of few ``channels``, and the projection of these: with the least loss.

    Least for the masks of kernels whose layer reads white noise, over mask maps that are white: the layer
    takes the principal directions of what kernels ask of the map.
    """
    projection = tensors[_PROJECTION][:, :, 0, 0].double()
    head = "instance_decoder"
    kernel, bias = (tensors[f"{head}.kernel.{leaf}"].double() for leaf in ("weight", "bias"))
    norm, shift = (tensors[f"{head}.norm.{leaf}"].double() for leaf in ("weight", "bias"))
    width = int(tensors["mask_decoder.after.3.conv.weight"].shape[0])
    windows = projection.shape[0] - kernel.shape[0]
    asked = torch.cat([kernel * norm, (kernel @ shift + bias)[:, None]], 1).T @ projection[windows:, :width]
    directions = torch.linalg.svd(asked, full_matrices=False).Vh[:channels]
    rest = projection[:, width:]
    return {
        _COARSE: directions.float()[:, :, None, None],
        _PROJECTION: torch.cat([projection[:, :width] @ directions.T, rest], 1).float()[:, :, None, None],
    }


def load_initial(model: MobileInst, tensors: Mapping[str, Tensor]) -> list[str]:
    """Load what fits of another model's tensors; returns the names of the model's tensors that stay new.

    A model with masks at stride 4 may start from one with masks at stride 8, whose masks it has at first.

    Raises:
        ValueError: if nothing fits.
    """
    state = model.state_dict()
    if model.config.mask_stride == 4 and _COARSE not in tensors and _PROJECTION in tensors:
        tensors = {**tensors, **narrowed(tensors, model.config.width // 4)}
    fitting = {k: v.float() for k, v in tensors.items() if k in state and v.shape == state[k].shape}
    if not fitting:
        raise ValueError("the initial weights have no tensor of this model")
    new = [k for k in state if k not in fitting and not k.endswith("num_batches_tracked")]
    model.load_state_dict({**state, **fitting})
    return new


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; int8 ones of this project's files are widened to float32.

    Raises:
        WeightsError: if it is no such file.
    """
    arrays, _ = read_safetensors(path)
    return {name: torch.from_numpy(np.array(array)) for name, array in widen_int8(arrays).items()}


def load_backbone_file(model: MobileInst, path: Path) -> None:
    """Initialise the backbone from folded ``.npz`` weights or safetensors with this project's names."""
    if path.suffix == ".onnx":
        load_yolox(model, path)
        return
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            load_folded_backbone(model, {name: arrays[name] for name in arrays.files})
        return
    tensors = read_tensors(path)
    renamed = {k if k.startswith("backbone.") else f"backbone.{k}": v for k, v in tensors.items()}
    load_initial(model, {k: v for k, v in renamed.items() if k.startswith("backbone.")})


@torch.no_grad()
def grid_queries(model: MobileInst) -> None:
    """Give each query a place: sine grid positions, and query projections equal to the key projections.

    Queries that begin as places of a detector have one already.
    """
    config = model.config
    if config.query_source == "places":
        return
    side = int(np.ceil(np.sqrt(config.queries)))
    grid = sine_position_embedding((side, side), config.hidden)
    chosen = np.linspace(0, len(grid) - 1, config.queries).round().astype(np.int64)
    model.get_parameter("instance_decoder.query_position.weight").copy_(torch.from_numpy(grid[chosen]))
    for decoder in ("global", "local"):
        prefix = f"instance_decoder.{decoder}.cross"
        key = model.get_parameter(f"{prefix}.key.weight")
        model.get_parameter(f"{prefix}.query.weight").copy_(key)
        model.get_parameter(f"{prefix}.norm.weight").fill_(0.3)


#: Rows of a COCO detector's class layer that are kinds of person, vehicle and animal, in that order.
COCO_KINDS = (0, *range(1, 9), *range(14, 24))


#: Parameters that come with a trained YOLOX.
YOLOX_PREFIXES = tuple(
    f"backbone.{name}"
    for name in ("stem.", "dark", "lateral_conv0.", "reduce_conv1.", "C3_", "bu_conv", "head.")
)


@torch.no_grad()
def load_yolox(model: MobileInst, path: Path) -> None:
    """Initialise a ``yolox_nano`` backbone with its heads from Megvii's ONNX file (BGR, 0 to 255).

    The model's input is RGB / 255. Its kinds must be those of :data:`COCO_KINDS`, or all 80.

    Raises:
        ValueError: if the file's convolutions are not those of YOLOX-nano.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {x.name: np.array(numpy_helper.to_array(x), np.float32) for x in graph.initializer}
    layers = [node.input for node in graph.node if node.op_type == "Conv"]
    if model.config.backbone != "yolox_nano":
        raise ValueError(f"{path} fits the backbone yolox_nano only; got {model.config.backbone}")
    specs = parameter_specs(model.config)  # in the order in which the network runs, as the file's layers are
    names = [
        k.removesuffix(".weight") for k in specs if k.startswith(YOLOX_PREFIXES) and k.endswith(".weight")
    ]
    for name, inputs in zip(names, layers, strict=True):
        weight, bias = (arrays[key] for key in inputs[1:3])
        if name == "backbone.stem":
            weight = _without_focus(weight)
        if ".cls_preds." in name and sum(model.config.kinds) == len(COCO_KINDS):
            weight, bias = weight[list(COCO_KINDS)], bias[list(COCO_KINDS)]
        target = model.get_parameter(f"{name}.weight")
        if tuple(target.shape) != weight.shape:
            raise ValueError(f"{inputs[1]} is {weight.shape}, expected {tuple(target.shape)} for {name}")
        target.copy_(torch.from_numpy(weight))
        model.get_parameter(f"{name}.bias").copy_(torch.from_numpy(bias))


def _without_focus(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first layer (16, 12, 3, 3), on 2x2 pixels of BGR at once, as (16, 3, 7, 7) on RGB / 255."""
    out = np.zeros((weight.shape[0], 3, 7, 7), np.float32)
    for part, (dy, dx) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        block = weight[:, part * 3 : part * 3 + 3]
        out[:, :, 1 + dy :: 2, 1 + dx :: 2] = block[:, ::-1] * 255.0
    return out
