"""Checkpoints whose names wrappers have changed, in brain floats, or hostile: recognised as what they are."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.random_weights import random_tensors

torch = pytest.importorskip("torch")

from mobileinst.network import ModelConfig  # noqa: E402
from mobileinst.weights import load_weights, read_safetensors, save_weights, write_safetensors  # noqa: E402
from weights_tools import convert, create, export_onnx  # noqa: E402
from weights_tools.checkpoints import CheckpointError  # noqa: E402
from weights_tools.recognise import RecognitionError  # noqa: E402

SMALL = {"width": 32, "classes": 2, "queries": 9, "hidden": 64, "ffn": 64, "heads": 4, "kernel_dim": 16}
CONFIG = ModelConfig("topformer_t", **SMALL)
Tensors = dict[str, Any]


@pytest.fixture(scope="module")
def whole() -> Tensors:
    return {name: torch.from_numpy(value) for name, value in random_tensors(CONFIG).items()}


def inside(name: str, wrapper: str, depth: int) -> str:
    """The name with a wrapper's part at a depth, as where one block of a network is wrapped."""
    parts = name.split(".")
    return ".".join([*parts[:depth], wrapper, *parts[depth:]])


WRAPPED: dict[str, Callable[[str], str]] = {
    "compiled": lambda name: f"_orig_mod.{name}",
    "compiled in parallel": lambda name: f"module._orig_mod.{name}",
    "parallel and compiled": lambda name: f"_orig_mod.module.{name}",
    "its backbone compiled": lambda name: inside(name, "_orig_mod", 1) if name.startswith("b") else name,
    "sharded": lambda name: inside(f"_fsdp_wrapped_module.{name}", "_fsdp_wrapped_module", 3),
    "checkpointed": lambda name: inside(name, "_checkpoint_wrapped_module", 2),
    "Lightning": lambda name: f"model._orig_mod.{name}",
}


@pytest.mark.parametrize("form", WRAPPED)
def test_a_wrapped_model_is_a_whole_model(tmp_path: Path, whole: Tensors, form: str) -> None:
    tensors = {WRAPPED[form](name): value for name, value in whole.items()}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "a.pth")
    settings = {"heads": 4, "key_stride": CONFIG.key_stride}
    report = convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors", settings=settings)
    assert (report.match.kind, report.match.skipped) == ("model", [])
    weights = load_weights(tmp_path / "b.safetensors")
    assert weights.config == CONFIG
    for name, value in whole.items():
        assert np.array_equal(weights.tensors[name], value.numpy()), name


def test_names_that_become_one_are_refused(tmp_path: Path, whole: Tensors) -> None:
    name = next(iter(whole))
    torch.save({**whole, f"_orig_mod.{name}": whole[name]}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=f"two tensors are '{name}' without their wrappers' names"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_a_whole_model_is_never_taken_for_its_backbone(tmp_path: Path, whole: Tensors) -> None:
    moved = {
        name.replace("backbone.", "encoder.") if name.startswith("backbone.") else name: value
        for name, value in whole.items()
    }
    torch.save(moved, tmp_path / "a.pth")
    with pytest.raises(RecognitionError, match=r"whole model under '', but the TopFormer under 'encoder\.'"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    report = convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors", prefix="encoder")
    assert report.match.kind == "backbone"


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_brain_floats_are_widened(tmp_path: Path, whole: Tensors, suffix: str) -> None:
    brain = {name: value.bfloat16() for name, value in whole.items()}
    path = tmp_path / f"a.{suffix}"
    if suffix == "pth":
        torch.save(brain, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(brain, path)
        tensors, _ = read_safetensors(path)
        name = next(iter(brain))
        assert tensors[name].dtype == np.float32
        assert np.array_equal(tensors[name], brain[name].float().numpy())
    settings = {"heads": 4, "key_stride": CONFIG.key_stride}
    convert.convert(path, tmp_path / "b.safetensors", settings=settings)
    weights = load_weights(tmp_path / "b.safetensors")
    for name, value in brain.items():
        assert np.array_equal(weights.tensors[name], value.float().numpy()), name


def test_control_characters_in_names_are_shown_as_escapes(
    tmp_path: Path, whole: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;x\x07\u202e"
    torch.save({**whole, f"{evil}.weight": torch.ones(2)}, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors")]
    assert convert.main([*arguments, "--config", f"heads=4,key_stride={CONFIG.key_stride}"]) == 0
    said = capsys.readouterr().out
    assert "\\x1b]0;x\\x07\\u202e: 1" in said
    torch.save({f"{evil}.weight": torch.ones(2)}, tmp_path / "a.pth")
    assert convert.main(arguments) == 1
    said += capsys.readouterr().err
    assert all(c.isprintable() or c == "\n" for c in said)


@pytest.mark.parametrize(
    "settings", ["heads=²", "heads=٤", "heads=" + "9" * 5000, "heads=-4", "heads=", "=", "x=1"]
)
def test_odd_settings_are_one_line(
    tmp_path: Path, whole: Tensors, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(whole, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors"), "--config", settings]
    with contextlib.suppress(SystemExit):  # argparse
        assert convert.main(arguments) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith(("convert: ", "python -m weights_tools.convert: error: argument --config"))
    assert not (tmp_path / "b.safetensors").exists()


def test_commands_never_write_over_what_they_read(
    tmp_path: Path, whole: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(whole, tmp_path / "a.pth")
    save_weights(
        tmp_path / "w.safetensors", random_tensors(CONFIG), create.metadata_of(CONFIG, 64, origin="")
    )
    (tmp_path / "link").symlink_to(tmp_path / "a.pth")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for source, target in (("a.pth", "a.pth"), ("a.pth", "link"), ("link", "a.pth")):
        assert convert.main([str(tmp_path / source), str(tmp_path / target)]) == 1
    pytest.importorskip("onnx")
    assert export_onnx.main([str(tmp_path / "w.safetensors")] * 2) == 1
    assert export_onnx.main([str(tmp_path / "w.safetensors"), str(tmp_path / "none" / "x.onnx")]) == 1
    assert export_onnx.main([str(tmp_path / "a.pth"), str(tmp_path / "x.onnx")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in said] == ["convert"] * 3 + ["export_onnx"] * 3
    assert sum("is an input" in line for line in said) == 4
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_damage_is_refused_in_one_line(
    tmp_path: Path, whole: Tensors, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {name: whole[name] for name in list(whole)[:3]}
    if kind == "safetensors":
        write_safetensors(tmp_path / "good", {name: value.numpy() for name, value in some.items()}, {})
    else:
        torch.save(some, tmp_path / "good", _use_new_zipfile_serialization=kind == "zip")
    good = (tmp_path / "good").read_bytes()
    rng = np.random.default_rng(5)
    for attempt in range(60):
        data = bytearray(good)
        for _ in range(1 + attempt % 5):
            data[rng.integers(min(len(data), 600 if attempt % 2 else len(data)))] = rng.integers(256)
        if attempt % 6 == 0:
            data = data[: rng.integers(len(data))]
        (tmp_path / "bad").write_bytes(data)
        assert convert.main([str(tmp_path / "bad"), str(tmp_path / "b.safetensors")]) == 1
        said = capsys.readouterr()
        assert len(said.err.strip().splitlines()) == 1
        assert said.err.startswith("convert: ")
    assert not (tmp_path / "b.safetensors").exists()


def test_more_tensors_than_any_network_has_are_refused_quickly(tmp_path: Path) -> None:
    header = json.dumps(
        {f"t{i}": {"dtype": "F32", "shape": [], "data_offsets": [4 * i, 4 * i + 4]} for i in range(70_000)}
    ).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4 * 70_000))
    with pytest.raises(CheckpointError, match="tensors"):
        convert.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
