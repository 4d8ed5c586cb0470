"""Weights files: a bounded safetensors reader, the model card in its metadata, and an atomic writer.

A weights file is a `.safetensors` file whose metadata has one key, ``mobileinst``: JSON that names the
configuration, classes, normalisation, default size and threshold, and may set how scores are computed
(``score_powers``). It holds a whole model or, if its ``kind``
says so, a backbone alone. Nothing in it is ever executed, every
number in its header is checked before it is used, and whatever is wrong raises :class:`WeightsError`.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import Output
from .network.config import ModelConfig
from .network.counter import tensor_shapes

DEFAULT_NAME = "default"
ASSETS = Path(__file__).parent / "assets"
FORMAT = 1

KINDS = ("model", "backbone")
BACKBONE_PREFIX = "backbone."

MAX_HEADER_BYTES = 16 << 20
MAX_FILE_BYTES = 2 << 30
MAX_DIMENSIONS = 8
SIZE_LIMITS = (32, 4096)
MAX_SCORE_POWER = 8
#: SparseInst's: sqrt(class * objectness) * maskness.
SCORE_POWERS = (0.5, 0.5, 1.0)

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class WeightsError(ValueError):
    """A weights file is missing, damaged, or not what this project writes."""


class Weights:
    """Parameters by official name, with the metadata that a run needs.

    `tensors` maps names to float32 arrays in PyTorch layout; `metadata` is the checked JSON object of the
    file's ``mobileinst`` key. Raises WeightsError when the metadata is incomplete or contradicts itself.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, Any]) -> None:
        self.tensors = tensors
        self.metadata = dict(metadata)
        _check_metadata(self.metadata)
        self.kind: str = self.metadata.get("kind", "model")
        self.config: ModelConfig = _config(self.metadata["config"])
        self.classes: tuple[str, ...] = tuple(self.metadata["classes"])
        if self.kind == "model" and len(self.classes) != self.config.classes:
            raise WeightsError(
                f"metadata names {len(self.classes)} classes, its configuration has {self.config.classes}"
            )
        self.mean: tuple[float, ...] = tuple(map(float, self.metadata["mean"]))
        self.std: tuple[float, ...] = tuple(map(float, self.metadata["std"]))
        self.color: str = self.metadata["color"]
        self.size: int = self.metadata["size"]
        self.score_threshold = check_score_threshold(self.metadata["score_threshold"], len(self.classes))
        self.score_powers = _score_powers(self.metadata)
        self.version: str = self.metadata["version"]
        self.card: dict[str, Any] = self.metadata["card"]

    def __repr__(self) -> str:
        count = sum(t.size for t in self.tensors.values())
        return f"Weights({self.config.backbone}, classes={list(self.classes)}, {count:,} values)"


def check_score_threshold(value: Any, classes: int) -> float | tuple[float, ...]:
    """A threshold in 0..1, or one for each class; WeightsError for anything else."""
    if isinstance(value, (list, tuple)):
        if len(value) != classes:
            raise WeightsError(f"score_threshold must be a number or {classes} numbers, got {len(value)}")
        if all(_is_number(v) and 0 <= v <= 1 for v in value):
            return tuple(map(float, value))
    elif _is_number(value) and 0 <= value <= 1:
        return float(value)
    raise WeightsError(f"score_threshold must be between 0 and 1, got {_short(value)}")


def _score_powers(metadata: Mapping[str, Any]) -> tuple[float, float, float]:
    """Powers of class probability, objectness and maskness whose product is a query's score."""
    value = metadata.get("score_powers", SCORE_POWERS)
    numbers = isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_number, value))
    if numbers and all(0 <= power <= MAX_SCORE_POWER for power in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise WeightsError(
        f"metadata 'score_powers' must be three numbers in 0..{MAX_SCORE_POWER}, got {_short(value)}"
    )


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
        if _exists(shipped):
            return shipped
    if _exists(path):
        return path
    names = ", ".join(available_weights()) or "none"
    what = f"no weights named {_short(path_or_name)}" if is_name else f"weights file {path} does not exist"
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
        weights = Weights(parameters, _parse_json(metadata["mobileinst"], "the 'mobileinst' metadata"))
        check_weights(weights, kind)
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

    MobileNetV2 alone may come without the transformer that this project puts behind it (X6): then `tensors`
    has none of its names.
    """
    shapes = tensor_shapes(config)
    if kind == "model":
        return shapes
    shapes = {name: shape for name, shape in shapes.items() if name.startswith(BACKBONE_PREFIX)}
    if config.backbone == "mobilenetv2":
        pyramid = f"{BACKBONE_PREFIX}features."
        if not any(name in shapes and not name.startswith(pyramid) for name in tensors):
            shapes = {name: shape for name, shape in shapes.items() if name.startswith(pyramid)}
    return shapes


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read any safetensors file into (arrays by name, metadata); the arrays are read-only.

    The file is read once into memory (not mapped: a mapped file that shrinks kills the process).
    Raises WeightsError when it can't be read or its header is not consistent with its length.
    """
    path = Path(path)
    try:
        # Asked before opening, which would wait for ever on a named pipe.
        if _exists(path) and not path.is_file():
            raise WeightsError("expected a regular file, got a directory or device")
        with path.open("rb") as file:
            header, data_size = _read_header(file, os.fstat(file.fileno()).st_size)
            entries, metadata = _check_header(header, data_size)
            data = file.read(data_size)
        if len(data) != data_size:
            raise WeightsError(f"expected {data_size} bytes of tensors, got {len(data)}")
        return {name: _view(data, *entry) for name, entry in entries.items()}, metadata
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path}: can't be read: {reason}") from None


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays as a safetensors file, under a temporary name that is renamed at the end."""
    path = Path(path)
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    blocks = []
    offset = 0
    for name, tensor in ordered:
        dtype = tensor.dtype.newbyteorder("<")
        if dtype not in _NAMES:
            raise WeightsError(f"tensor {name!r} has dtype {tensor.dtype}, which can't be stored")
        block = np.ascontiguousarray(tensor, dtype=dtype).tobytes()
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(block)],
        }
        offset += len(block)
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Output(path) as output:
        file = output.open("wb")
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blocks)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _read_header(file: Any, file_size: int) -> tuple[dict[str, Any], int]:
    if file_size > MAX_FILE_BYTES:
        raise WeightsError(f"expected at most {MAX_FILE_BYTES} bytes, got {file_size}")
    prefix = file.read(8)
    if len(prefix) < 8:
        raise WeightsError(f"expected a safetensors file, got a file of {len(prefix)} bytes")
    (length,) = struct.unpack("<Q", prefix)
    if length > min(MAX_HEADER_BYTES, file_size - 8):
        raise WeightsError(
            f"expected a safetensors header of at most {min(MAX_HEADER_BYTES, file_size - 8)} bytes, "
            f"its length field says {length}: not a safetensors file, or a truncated one"
        )
    text = file.read(length)
    if len(text) != length:
        raise WeightsError(f"expected a header of {length} bytes, got {len(text)}")
    return _parse_json(text, "the safetensors header"), file_size - 8 - length


def _parse_json(text: str | bytes, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise WeightsError(f"{what} has a key twice")
        return keys

    def no_constant(name: str) -> Any:
        raise WeightsError(f"{what} contains {name}")

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except WeightsError:
        raise
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{what} is not valid JSON ({_short(error)})") from None
    if not isinstance(parsed, dict):
        raise WeightsError(f"{what} must be a JSON object, got {_short(parsed)}")
    return parsed


_Entry = tuple["np.dtype[Any]", tuple[int, ...], int]


def _check_header(header: dict[str, Any], data_size: int) -> tuple[dict[str, _Entry], dict[str, str]]:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError("__metadata__ must map names to strings")
    entries = {}
    spans = []
    for name, entry in header.items():
        dtype, shape, begin, end = _check_entry(name, entry)
        if end > data_size:
            raise WeightsError(
                f"tensor {name!r} ends at byte {end}, but the file has {data_size} bytes of tensors: "
                "truncated?"
            )
        entries[name] = (dtype, shape, begin)
        spans.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            kind = "overlaps the tensor before it" if begin < position else "leaves a gap before it"
            raise WeightsError(f"tensor {name!r} {kind}: expected offset {position}, got {begin}")
        position = end
    if position != data_size:
        raise WeightsError(f"expected {position} bytes of tensors, got {data_size}")
    return entries, metadata


def _check_entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"tensor {name!r} must have dtype, shape and data_offsets, got {_short(entry)}")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise WeightsError(
            f"tensor {name!r} has dtype {_short(entry['dtype'])}, expected one of {', '.join(_DTYPES)}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _is_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(f"tensor {name!r} has shape {_short(shape)}, expected a list of sizes")
    if not _is_naturals(offsets) or len(offsets) != 2:
        raise WeightsError(f"tensor {name!r} has data_offsets {_short(offsets)}, expected [begin, end]")
    size = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != size:
        raise WeightsError(
            f"tensor {name!r} of shape {shape} and dtype {entry['dtype']} needs {size} bytes, "
            f"its offsets span {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), offsets[0], offsets[1]


def _view(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], begin: int) -> NDArray[Any]:
    count = math.prod(shape)
    if count == 0:
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        # A byte other than 0 and 1 is no valid NumPy bool.
        return np.asarray(np.frombuffer(data, np.uint8, count, begin).reshape(shape) != 0)
    return np.frombuffer(data, dtype, count, begin).reshape(shape)


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


def _check_metadata(metadata: dict[str, Any]) -> None:
    expected = {
        "format": int,
        "config": dict,
        "classes": list,
        "mean": list,
        "std": list,
        "color": str,
        "size": int,
        "version": str,
        "card": dict,
    }
    missing = [key for key in (*expected, "score_threshold") if key not in metadata]
    if missing:
        raise WeightsError(f"metadata lacks {', '.join(missing)}")
    for key, kind in expected.items():
        if not isinstance(metadata[key], kind) or isinstance(metadata[key], bool):
            raise WeightsError(f"metadata {key!r} must be a {kind.__name__}, got {_short(metadata[key])}")
    if metadata["format"] != FORMAT:
        raise WeightsError(f"format {metadata['format']} is unknown, this version reads format {FORMAT}")
    kind = metadata.get("kind", "model")
    if kind not in KINDS:
        raise WeightsError(f"metadata 'kind' must be one of {', '.join(KINDS)}, got {_short(kind)}")
    classes = metadata["classes"]
    if kind == "backbone" and classes:
        raise WeightsError(f"metadata 'classes' of a backbone must be empty, got {_short(classes)}")
    names = all(isinstance(c, str) and c for c in classes) and len(set(classes)) == len(classes)
    if not names or (kind == "model" and not classes):
        raise WeightsError(f"metadata 'classes' must be different names, got {_short(classes)}")
    for key in ("mean", "std"):
        values = metadata[key]
        if len(values) != 3 or not all(_is_number(v) and abs(v) < 1e6 for v in values):
            raise WeightsError(f"metadata {key!r} must be 3 numbers, got {_short(values)}")
    if min(metadata["std"]) <= 0:
        raise WeightsError(f"metadata 'std' must be positive, got {_short(metadata['std'])}")
    if metadata["color"] not in ("rgb", "bgr"):
        raise WeightsError(f"metadata 'color' must be 'rgb' or 'bgr', got {_short(metadata['color'])}")
    if not SIZE_LIMITS[0] <= metadata["size"] <= SIZE_LIMITS[1]:
        raise WeightsError(
            f"metadata 'size' must be in {SIZE_LIMITS[0]}..{SIZE_LIMITS[1]}, got {_short(metadata['size'])}"
        )


def _config(fields: dict[str, Any]) -> ModelConfig:
    try:
        return ModelConfig.from_dict(fields)
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"configuration is not valid: {_short(error)}") from None


def _is_number(value: Any) -> bool:
    # Comparing (instead of math.isfinite) also holds for integers too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
