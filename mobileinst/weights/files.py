"""Weights files: found, read, checked and written.

A weights file is a `.safetensors` file whose metadata has one key, ``mobileinst``: JSON that names the
configuration, classes, normalisation, default size and threshold, and may set how scores are computed
(``score_powers``). It holds a whole model or, if its ``kind`` says so, a backbone alone. Nothing in it is
ever executed, and whatever is wrong raises :class:`WeightsError`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.terminal import short
from ..network.backbones import ARCHITECTURES
from ..network.config import ModelConfig
from ..network.counter import tensor_shapes
from .metadata import Weights
from .safetensors import WeightsError, exists, parse_json, read_safetensors, write_safetensors

DEFAULT_NAME = "default"
ASSETS = Path(__file__).parent.parent / "assets"
BACKBONE_PREFIX = "backbone."
MAX_METADATA = 1 << 20


def available_weights() -> list[str]:
    """Names of the weights that ship with the package."""
    return sorted(path.stem for path in ASSETS.glob("*.safetensors"))


def find_weights(path_or_name: str | os.PathLike[str] | None = None) -> Path:
    """The file behind a path, the name of shipped weights, or None (the default weights).

    Raises WeightsError, with the names that exist, when there is no such file.
    """
    if path_or_name is None:
        path_or_name = DEFAULT_NAME
    if isinstance(path_or_name, bytes) or not isinstance(path_or_name, (str, os.PathLike)):
        raise WeightsError(f"weights must be a path or a name, got {type(path_or_name).__name__}")
    if not os.fspath(path_or_name):
        raise WeightsError("weights must be a path or a name, got ''")
    path = Path(path_or_name)
    is_name = isinstance(path_or_name, str) and path.name == path_or_name and not path.suffix
    if is_name:
        shipped = ASSETS / f"{path_or_name}.safetensors"
        if exists(shipped):
            return shipped
    if exists(path):
        return path
    names = ", ".join(available_weights()) or "none"
    what = f"no weights named {short(path_or_name)}" if is_name else f"weights file {path} does not exist"
    raise WeightsError(f"{what}; names of weights that ship with the package: {names}")


def load_weights(
    path_or_name: str | os.PathLike[str] | None = None, *, kind: str | None = "model"
) -> Weights:
    """Read a weights file of this project; half precision and int8 with scales are widened to float32.

    Raises WeightsError for a missing, truncated, damaged or foreign file, and for one of another kind than
    `kind` ("model" or "backbone"; None takes both).
    """
    path = find_weights(path_or_name)
    raw, metadata = read_safetensors(path)
    try:
        if "mobileinst" not in metadata:
            raise WeightsError(
                "its metadata has no 'mobileinst' entry, so it is not a weights file of this project "
                "(other checkpoints: python -m weights_tools.convert SRC DST.safetensors)"
            )
        parameters = {
            name: _as_parameter(name, tensor)
            for name, tensor in widen_int8(raw).items()
            if not name.endswith(".num_batches_tracked")
        }
        if len(metadata["mobileinst"]) > MAX_METADATA:
            raise WeightsError(
                f"expected at most {MAX_METADATA} characters of metadata, got {len(metadata['mobileinst'])}"
            )
        weights = Weights(parameters, parse_json(metadata["mobileinst"], "the 'mobileinst' metadata"))
        check_weights(weights, kind)
        weights.path = path
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return weights


def check_weights(weights: Weights, kind: str | None = "model") -> None:
    """Raise WeightsError for weights of another kind than `kind` ("model" or "backbone"; None takes both),
    or that lack a tensor of their configuration or have one of the wrong shape."""
    if kind is not None and weights.kind != kind:
        raise WeightsError(
            f"expected a whole model, got the backbone {weights.config.backbone} alone "
            "(mobileinst.Backbone runs it)"
            if weights.kind == "backbone"
            else f"expected a {kind} alone, got a whole model"
        )
    _check_shapes(weights.tensors, required_shapes(weights.config, weights.kind, weights.tensors))


def save_weights(
    path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write a weights file; it appears whole or not at all. Tensors are kept as float32, float16 or int8.

    An int8 tensor ``name`` comes with ``name.scale``, float32, one factor for each output channel.

    Raises WeightsError when the tensors or the metadata are not what `load_weights` accepts.
    """
    checked = Weights({}, metadata)
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    wide = widen_int8(arrays)
    for name, array in wide.items():
        _as_parameter(name, array)
    _check_shapes(wide, required_shapes(checked.config, checked.kind, wide))
    write_safetensors(path, arrays, {"mobileinst": json.dumps(dict(metadata), allow_nan=False)})


def required_shapes(
    config: ModelConfig, kind: str, tensors: Collection[str] = ()
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a file must hold.

    MobileNetV2 alone may come without the transformer that this project puts behind it (X6), see `is_whole`.
    """
    shapes = tensor_shapes(config)
    if kind == "model":
        return shapes
    shapes = {name: shape for name, shape in shapes.items() if name.startswith(BACKBONE_PREFIX)}
    if not is_whole(config, tensors):
        official = _official_prefix(config)
        shapes = {name: shape for name, shape in shapes.items() if name.startswith(official)}
    return shapes


def is_whole(config: ModelConfig, tensors: Collection[str]) -> bool:
    """Whether a backbone's `tensors` have names of more than the official part of its weights."""
    official = _official_prefix(config)
    ours = (name for name in tensor_shapes(config) if name.startswith(BACKBONE_PREFIX))
    return official == BACKBONE_PREFIX or any(
        name in tensors for name in ours if not name.startswith(official)
    )


def _official_prefix(config: ModelConfig) -> str:
    return BACKBONE_PREFIX + (ARCHITECTURES[config.backbone].official or "")


def widen_int8(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Replace int8 tensors by the float32 product with their scales, which disappear."""
    wide = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype != np.dtype(np.int8) or tensor.ndim == 0:
            continue
        scale = wide.pop(f"{name}.scale", None)
        if scale is None or scale.dtype != np.dtype(np.float32) or scale.shape != tensor.shape[:1]:
            raise WeightsError(
                f"int8 tensor {name!r} needs {name + '.scale'!r}, float32 of shape {tensor.shape[:1]}"
            )
        wide[name] = tensor.astype(np.float32) * scale.reshape(-1, *[1] * (tensor.ndim - 1))
    return wide


def _as_parameter(name: str, tensor: NDArray[Any]) -> NDArray[np.float32]:
    if tensor.dtype not in (np.dtype(np.float32), np.dtype(np.float16)):
        raise WeightsError(f"tensor {name!r} has dtype {tensor.dtype}, expected float32 or float16")
    values = np.require(tensor, np.float32, ["C", "A"])
    if not np.isfinite(values).all():
        raise WeightsError(f"tensor {name!r} contains NaN or infinite values")
    if name.endswith(".running_var") and values.size and values.min() < 0:
        raise WeightsError(f"tensor {name!r} is a variance but contains {values.min()}")
    return values


def _check_shapes(tensors: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Tensors that the network doesn't know are allowed: training keeps auxiliary heads in its files."""
    missing = [name for name in shapes if name not in tensors]
    if missing:
        raise WeightsError(f"{len(missing)} of {len(shapes)} tensors are missing, first {missing[0]!r}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise WeightsError(f"tensor {name!r} has shape {tensors[name].shape}, expected {shape}")
