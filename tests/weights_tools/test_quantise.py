"""Ranges for 8-bit integers: how they are chosen, and the tool that adds them to a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mobileinst.engine import NativeModel, offered_precisions
from mobileinst.engine.parameters import ROUNDING, rounding_shift
from mobileinst.network import ModelConfig
from mobileinst.weights import Weights, load_weights, read_safetensors, save_weights
from tests.support.networks import make_metadata
from tests.support.random_weights import random_tensors
from weights_tools import quantise

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

CONFIG = ModelConfig("topformer_t", width=32, queries=5, classes=2)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A weights file, annotations of three images of two sizes, and their folder."""
    weights = tmp_path / "w.safetensors"
    save_weights(weights, random_tensors(CONFIG), make_metadata(CONFIG))
    images = tmp_path / "images"
    images.mkdir()
    entries = []
    for i, size in enumerate(((64, 96), (64, 96), (70, 64))):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{i}.png")
        entries.append({"id": i + 1, "file_name": f"{i}.png", "height": size[0], "width": size[1]})
    annotations = tmp_path / "a.json"
    annotations.write_text(json.dumps({"images": entries, "annotations": [], "categories": []}))
    return weights, annotations, images


def test_the_tool_adds_ranges_and_changes_nothing_else(
    files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, annotations, images = files
    output = tmp_path / "out.safetensors"
    arguments = [str(weights), str(output), "--annotations", str(annotations), "--images", str(images)]
    chosen = ["--no-ap", "--keep", "mask_decoder.lateral", "--finest", "1"]
    assert quantise.main([*arguments, *chosen]) == 0
    found = load_weights(output)
    assert {"image", "backbone.tpm.stem.0.c"} <= set(found.ranges)
    assert not any(name.startswith("mask_decoder.lateral.") for name in found.ranges)
    assert all(low <= high for low, high in found.ranges.values())
    before, after = read_safetensors(weights)[0], read_safetensors(output)[0]
    assert after.keys() - before.keys() == {name for name in after if name.endswith(ROUNDING)}
    assert {f"{name}{ROUNDING}" for name in ("backbone.tpm.stem.0.c", "instance_decoder.kernel")} <= set(
        after
    )
    for name, tensor in before.items():
        np.testing.assert_array_equal(after[name], tensor)
    printed = capsys.readouterr().out
    assert "stays in float32: asked for" in printed
    assert "backbone.tpm.stem.0.c " in printed
    assert "finer than" not in printed
    again = tmp_path / "again.safetensors"
    assert quantise.main([str(output), str(again), *arguments[2:], *chosen]) == 0
    for name, tensor in read_safetensors(again)[0].items():
        np.testing.assert_array_equal(after[name], tensor)


def test_kept_nodes_stay_in_float32_though_they_read_the_image(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    weights, annotations, images = files
    output = tmp_path / "out.safetensors"
    arguments = [str(weights), str(output), "--annotations", str(annotations), "--images", str(images)]
    assert quantise.main([*arguments, "--no-ap", "--finest", "1", "--keep", "backbone.tpm.stem"]) == 0
    found = load_weights(output)
    assert found.float_nodes == ("backbone.tpm.stem.0.c",)
    if "int8" in offered_precisions():
        session = NativeModel(found, threads=1, precision="int8").session(64, 64)
        types = {node["name"]: node["dtype"] for node in session.profile(runs=1)}
        assert types["backbone.tpm.stem.0.c"] == "float32"
        assert "int8" in types.values()
    again = tmp_path / "again.safetensors"
    assert quantise.main([str(output), str(again), *arguments[2:], "--no-ap"]) == 0
    assert not load_weights(again).float_nodes


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_the_shift_of_rounding_is_the_mean_error_of_outputs(groups: int) -> None:
    random = np.random.default_rng(groups)
    weight = random.standard_normal((12, 6 // groups, 1, 1)).astype(np.float32)
    x = random.uniform(0, 2, (500, 6)).astype(np.float32)
    rounded = np.stack([filters / np.abs(filters).max() * 127 for filters in weight])
    rounded = np.rint(rounded) / 127 * np.abs(weight).max((1, 2, 3), keepdims=True)
    errors = np.zeros((500, 12))
    for output in range(12):
        first = output // (12 // groups) * (6 // groups)
        seen = x[:, first : first + 6 // groups]
        errors[:, output] = seen @ (rounded - weight)[output, :, 0, 0]
    np.testing.assert_allclose(rounding_shift(weight, x.mean(0)), errors.mean(0), atol=1e-5)
    assert np.abs(errors.mean(0)).max() > 1e-3


def test_int8_takes_the_shift_away_and_float32_does_not(files: tuple[Path, Path, Path]) -> None:
    weights, _, _ = quantise.quantise(*files, finest=1)
    plain = {name: tensor for name, tensor in weights.tensors.items() if not name.endswith(ROUNDING)}
    for precision, same in (("fp32", True), ("int8", False)):
        if precision not in offered_precisions():
            continue
        found = []
        for tensors in (plain, weights.tensors):
            model = NativeModel(Weights(tensors, weights.metadata), threads=1, precision=precision)
            session = model.session(64, 96)
            session.load_frame(np.full((64, 96, 3), 90, np.uint8))
            session.run_features()
            found.append(session.mask_features())
        assert np.array_equal(*found) == same


def test_fine_maps_stay_in_float32_by_themselves(files: tuple[Path, Path, Path]) -> None:
    weights, _, lines = quantise.quantise(*files, count=1)
    assert "backbone.tpm.stem.0.c" not in weights.ranges
    assert "mask_decoder.lateral.3.conv" in weights.ranges
    assert any("stays in float32: finer than 1/8" in line for line in lines)


def test_what_is_wrong_is_said(
    files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, annotations, images = files
    output = tmp_path / "out.safetensors"
    arguments = [str(weights), str(output), "--annotations", str(annotations), "--images", str(images)]
    for more, said in (
        (["--count", "0"], "--count: expected at least 1"),
        (["--test-images", str(images)], "expected both"),
        (["--images", str(tmp_path / "nosuch")], "nosuch"),
    ):
        assert quantise.main([*arguments, *more]) == 2
        assert said in capsys.readouterr().err
        assert not output.exists()
    same = [str(weights), str(weights), *arguments[2:]]
    assert quantise.main(same) == 2


def test_a_range_leaves_rare_values_out_where_that_has_the_least_error() -> None:
    random = np.random.default_rng(0)
    values = quantise.Values()
    values.add(np.append(random.uniform(0, 1, 5000), [3.0]).astype(np.float32)[:, None], random)
    values.some = [np.append(random.uniform(0, 1, 5000), [3.0]).astype(np.float32)]
    low, high = quantise.choose_range(values).range
    assert low == 0
    assert 1 <= high <= 3
    even = quantise.Values(some=[random.uniform(-2, 6, 5000).astype(np.float32)], low=-2, high=6)
    assert quantise.choose_range(even).range == (-2, 6)


def test_ranges_of_sums_are_chosen_by_what_the_activation_makes_of_them() -> None:
    random = np.random.default_rng(0)
    sums = quantise.Values(some=[random.uniform(-20, 6, 5000).astype(np.float32)], low=-20, high=6)
    low, high = quantise.choose_range(sums, "silu").range
    assert low > -20 * 0.7  # silu is nearly 0 there
    assert high == pytest.approx(6, rel=0.1)
    assert quantise.choose_range(sums).range[0] < low
