"""The weights reader: what is written comes back; damaged files raise WeightsError and nothing else."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobileinst.network.counter import tensor_shapes
from mobileinst.weights import WeightsError, load_weights, read_safetensors, save_weights, write_safetensors
from mobileinst.weights import files as weight_files
from tests.support.networks import CONFIG, make_metadata, make_tensors


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A safetensors file small enough to be damaged at every byte."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(5, np.float16)}
    write_safetensors(path, tensors, {"mobileinst": json.dumps(make_metadata())})
    return path


def write_raw(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_round_trip_keeps_values_and_metadata(tmp_path: Path) -> None:
    tensors = make_tensors()
    path = tmp_path / "model.safetensors"
    save_weights(path, tensors, make_metadata(score_threshold=[0.3, 0.4]))
    loaded = load_weights(path)
    assert loaded.config == CONFIG
    assert loaded.classes == ("person", "animal")
    assert loaded.score_threshold == (0.3, 0.4)
    assert loaded.size == 64
    assert loaded.score_powers == (0.5, 0.5, 1)
    assert loaded.card == {"data": "none"}
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor)
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    tensors = make_tensors(np.float16)
    path = tmp_path / "half.safetensors"
    save_weights(path, tensors, make_metadata())
    loaded = load_weights(str(path))
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(loaded.tensors[name], tensor.astype(np.float32))


def test_agrees_with_the_safetensors_package(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = {
        "f64": np.linspace(0, 1, 5),
        "f32": np.ones((2, 0, 3), np.float32),
        "f16": np.ones((3, 1), np.float16),
        "i64": np.array(7),
        "u8": np.arange(3, dtype=np.uint8),
        "flag": np.array([True, False]),
    }
    theirs, ours = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    safetensors.save_file(tensors, theirs, metadata={"k": "v"})
    write_safetensors(ours, tensors, {"k": "v"})
    read, metadata = read_safetensors(theirs)
    back = safetensors.load_file(ours)
    assert metadata == {"k": "v"}
    for name, tensor in tensors.items():
        for copy in (read[name], back[name]):
            assert copy.dtype == tensor.dtype
            assert copy.shape == tensor.shape
            np.testing.assert_array_equal(copy, tensor)


def test_missing_weights_list_the_names_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "ASSETS", tmp_path)
    (tmp_path / "fast.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"no weights named 'fats'.*fast"):
        load_weights("fats")
    with pytest.raises(WeightsError, match="does not exist"):
        load_weights(tmp_path / "nothing.safetensors")
    with pytest.raises(WeightsError, match="no weights named 'xxx"):
        load_weights("x" * 5000)
    with pytest.raises(WeightsError, match="must be a path or a name, got ''"):
        load_weights("")
    with pytest.raises(WeightsError, match="must be a path or a name, got int"):
        load_weights(3)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="expected a regular file, got a directory"):
        load_weights(tmp_path)


def test_foreign_file_names_the_converter(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    write_safetensors(path, {"x": np.zeros(1, np.float32)}, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"weights_tools\.convert"):
        load_weights(path)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"[]", b"", "must be a JSON object"),
        (b"{", b"", "not valid JSON"),
        (b'{"a": NaN}', b"", "contains NaN"),
        (b"\xff\xfe", b"", "not valid JSON"),
        (b"[" * 100_000, b"", "not valid JSON"),
        (b'{"a": 1, "a": 1}', b"", "key twice"),
        ({"__metadata__": {"a": 1}}, b"", "names to strings"),
        ({"a": 5}, b"", "must have dtype"),
        ({"a": {"dtype": "F8", "shape": [1], "data_offsets": [0, 1]}}, b"0", "has dtype 'F8'"),
        ({"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, b"0000", "has dtype"),
        ({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}}, b"0", "has shape"),
        ({"a": {"dtype": "U8", "shape": "", "data_offsets": [0, 1]}}, b"0", "has shape"),
        ({"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}}, b"0", "has shape"),
        ({"a": {"dtype": "U8", "shape": [2**63, 2], "data_offsets": [0, 1]}}, b"0", "has shape"),
        ({"a": {"dtype": "U8", "shape": [1] * 40, "data_offsets": [0, 1]}}, b"0", "has shape"),
        ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}}, b"0", "needs 2 bytes"),
        ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [2, 0]}}, b"00", "needs 2 bytes"),
        ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}, b"0", "truncated"),
        ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, b"00", "leaves a gap"),
        ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, b"00", "expected 1 bytes"),
        (
            {
                "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]},
            },
            b"000",
            "overlaps",
        ),
    ],
)
def test_hostile_headers(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = write_raw(tmp_path / "x.safetensors", header, data)
    with pytest.raises(WeightsError, match=message):
        read_safetensors(path)


def test_header_length_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(WeightsError, match="at most 2 bytes"):
        read_safetensors(path)
    path.write_bytes(b"abc")
    with pytest.raises(WeightsError, match="a file of 3 bytes"):
        read_safetensors(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2 is unknown"),
        ({"format": True}, "'format' must be a int"),
        ({"config": {"backbone": "vgg"}}, "backbone must be one of"),
        ({"config": {"depth": 3}}, "configuration is not valid"),
        ({"config": {"width": 10**400}}, "configuration is not valid"),
        ({"classes": ["person"]}, "names 1 classes, its configuration has 2"),
        ({"classes": ["person", "person"]}, "different names"),
        ({"classes": ["person", 2]}, "different names"),
        ({"mean": [1, 2]}, "'mean' must be 3 numbers"),
        ({"mean": [1, 2, 10**400]}, "'mean' must be 3 numbers"),
        ({"std": [1, 2, 0]}, "'std' must be positive"),
        ({"color": "yuv"}, "'rgb' or 'bgr'"),
        ({"size": 10**6}, "'size' must be in"),
        ({"score_threshold": 1.5}, "between 0 and 1"),
        ({"score_threshold": [0.1]}, "a number or 2 numbers"),
        ({"score_powers": [1, 1, -1]}, "'score_powers' must be three numbers in 0..8"),
        ({"score_powers": [1, 1]}, "'score_powers' must be three numbers in 0..8"),
        ({"score_powers": 3}, "'score_powers' must be three numbers in 0..8"),
        ({"card": None}, "'card' must be a dict"),
    ],
)
def test_wrong_metadata(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "x.safetensors"
    text = json.dumps(make_metadata(**changes))
    write_safetensors(path, make_tensors(), {"mobileinst": text})
    with pytest.raises(WeightsError, match=message):
        load_weights(path)
    with pytest.raises(WeightsError, match=message):
        save_weights(tmp_path / "y.safetensors", make_tensors(), make_metadata(**changes))
    assert list(tmp_path.iterdir()) == [path]


def test_missing_metadata_key_is_named(tmp_path: Path) -> None:
    metadata = make_metadata()
    del metadata["mean"], metadata["score_threshold"]
    path = tmp_path / "x.safetensors"
    write_safetensors(path, make_tensors(), {"mobileinst": json.dumps(metadata)})
    with pytest.raises(WeightsError, match="lacks mean, score_threshold"):
        load_weights(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("instance_decoder.query", np.full((3, 8), np.nan, np.float32), "NaN"),
        ("instance_decoder.query", np.ones((4, 8), np.float32), r"shape \(4, 8\), expected \(3, 8\)"),
        ("instance_decoder.query", np.ones((3, 8), np.int64), "dtype int64, expected float32 or float16"),
        ("instance_decoder.query", None, "1 of .* tensors are missing"),
        ("backbone.tpm.stem.0.bn.running_var", np.full(16, -1, np.float32), "is a variance"),
    ],
)
def test_wrong_tensors(tmp_path: Path, name: str, value: Any, message: str) -> None:
    shapes = tensor_shapes(CONFIG)
    if name not in shapes:
        name = next(key for key in shapes if shapes[key] == (3, 8))
    tensors = make_tensors()
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    path = tmp_path / "x.safetensors"
    write_safetensors(path, tensors, {"mobileinst": json.dumps(make_metadata())})
    with pytest.raises(WeightsError, match=message):
        load_weights(path)
    with pytest.raises(WeightsError, match=message):
        save_weights(tmp_path / "y.safetensors", tensors, make_metadata())


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(WeightsError, match="can't be stored"):
        write_safetensors(path, {"x": np.zeros(1, np.complex64)}, {})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_is_refused(small_file: Path, tmp_path: Path) -> None:
    whole = small_file.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_safetensors(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_nothing_but_weights_error(
    small_file: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(small_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        replacement = data.draw(st.binary(max_size=6))
        content[position : position + data.draw(st.integers(0, 6))] = replacement
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(bytes(content))
    for read in (read_safetensors, load_weights):
        with contextlib.suppress(WeightsError):
            read(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(make_metadata())), value=json_values)
def test_any_metadata_value_is_accepted_or_refused_cleanly(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {}, {"mobileinst": json.dumps(make_metadata(**{key: value}))})
    with pytest.raises(WeightsError):  # at the latest because it holds no tensors
        load_weights(path)
