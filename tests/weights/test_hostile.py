"""Weights files that are hostile or foreign: limits, bfloat16, names that steer a terminal."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.weights import WeightsError, load_weights, read_safetensors
from mobileinst.weights.metadata import MAX_CLASS_NAME, Weights
from mobileinst.weights.safetensors import MAX_NAME, MAX_TENSORS


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5], [3e38, 0.15625]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    path = write(
        tmp_path / "x", {"a": entry("BF16", [2, 2], 0, 8), "b": entry("BF16", [0], 8, 8)}, halves.tobytes()
    )
    tensors, _ = read_safetensors(path)
    assert tensors["a"].dtype == np.float32
    np.testing.assert_array_equal(tensors["a"], (halves.astype(np.uint32) << 16).view(np.float32))
    assert tensors["b"].shape == (0,)


def test_limits_of_counts_and_names(tmp_path: Path) -> None:
    many = {str(i): entry("U8", [0], 0, 0) for i in range(MAX_TENSORS + 1)}
    with pytest.raises(WeightsError, match=f"at most {MAX_TENSORS} tensors, got {MAX_TENSORS + 1}"):
        read_safetensors(write(tmp_path / "x", many))
    # Written with escapes, which a search in the text doesn't see.
    escaped = json.dumps(many).replace("data_offsets", "\\u0064ata_offsets").encode()
    with pytest.raises(WeightsError, match=f"at most {MAX_TENSORS} tensors"):
        read_safetensors(write(tmp_path / "x", escaped))
    with pytest.raises(WeightsError, match=f"names of at most {MAX_NAME} characters"):
        read_safetensors(write(tmp_path / "x", {"n" * (MAX_NAME + 1): entry("U8", [0], 0, 0)}))
    with pytest.raises(WeightsError, match="1048576 characters of metadata"):
        load_weights(write(tmp_path / "x.safetensors", {"__metadata__": {"mobileinst": "x" * (1 << 21)}}))


def test_limits_of_class_names() -> None:
    metadata = load_weights().metadata
    classes = ["x" * (MAX_CLASS_NAME + 1), *metadata["classes"][1:]]
    with pytest.raises(WeightsError, match="names of at most 200 characters"):
        Weights({}, {**metadata, "classes": classes})
