"""Safetensors files: a bounded reader that checks every number of a header, and an atomic writer."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output
from ..io.terminal import short

MAX_HEADER_BYTES = 16 << 20
MAX_FILE_BYTES = 2 << 30
MAX_DIMENSIONS = 8
MAX_TENSORS = 20_000
MAX_NAME = 500

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
#: The upper half of a float32, which NumPy lacks: read as float32.
_BRAIN_FLOAT, _BRAIN_FLOAT_BITS = "BF16", np.dtype("<u2")


class WeightsError(ValueError):
    """A weights file is missing, damaged, or not what this project writes."""


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read any safetensors file into (arrays by name, metadata); arrays are read-only, bfloat16 is widened.

    The file is read once into memory (not mapped: a mapped file that shrinks kills the process).
    Raises WeightsError when it can't be read or its header is not consistent with its length.
    """
    path = Path(path)
    try:
        # Asked before opening, which would wait for ever on a named pipe.
        if exists(path) and not path.is_file():
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


def exists(path: Path) -> bool:
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
    # Counted before it is parsed, which takes long for many.
    _check_tensors(text.count(b'"data_offsets"'))
    return parse_json(text, "the safetensors header"), file_size - 8 - length


def _check_tensors(count: int) -> None:
    if count > MAX_TENSORS:
        raise WeightsError(f"expected at most {MAX_TENSORS} tensors, got {count}")


def parse_json(text: str | bytes, what: str) -> dict[str, Any]:
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
        raise WeightsError(f"{what} is not valid JSON ({short(error)})") from None
    if not isinstance(parsed, dict):
        raise WeightsError(f"{what} must be a JSON object, got {short(parsed)}")
    return parsed


_Entry = tuple["np.dtype[Any]", tuple[int, ...], int]


def _check_header(header: dict[str, Any], data_size: int) -> tuple[dict[str, _Entry], dict[str, str]]:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError("__metadata__ must map names to strings")
    _check_tensors(len(header))
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
    if len(name) > MAX_NAME:
        raise WeightsError(f"expected names of at most {MAX_NAME} characters, got {len(name)}: {short(name)}")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"tensor {name!r} must have dtype, shape and data_offsets, got {short(entry)}")
    known = {**_DTYPES, _BRAIN_FLOAT: _BRAIN_FLOAT_BITS}
    dtype = known.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise WeightsError(
            f"tensor {name!r} has dtype {short(entry['dtype'])}, expected one of {', '.join(known)}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _is_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(f"tensor {name!r} has shape {short(shape)}, expected a list of sizes")
    if not _is_naturals(offsets) or len(offsets) != 2:
        raise WeightsError(f"tensor {name!r} has data_offsets {short(offsets)}, expected [begin, end]")
    size = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != size:
        raise WeightsError(
            f"tensor {name!r} of shape {shape} and dtype {entry['dtype']} needs {size} bytes, "
            f"its offsets span {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), offsets[0], offsets[1]


def _view(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], begin: int) -> NDArray[Any]:
    count = math.prod(shape)
    if dtype == _BRAIN_FLOAT_BITS:
        bits = np.frombuffer(data, dtype, count, begin).astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)
    if count == 0:
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        # A byte other than 0 and 1 is no valid NumPy bool.
        return np.asarray(np.frombuffer(data, np.uint8, count, begin).reshape(shape) != 0)
    return np.frombuffer(data, dtype, count, begin).reshape(shape)


def _is_naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)
