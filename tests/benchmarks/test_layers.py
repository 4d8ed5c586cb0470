"""The benchmarks of layers on tiny sizes: shapes, comparison before timing, roofline."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import layers, shapes
from benchmarks.contestants import base
from mobileinst import _native
from mobileinst.engine import offered_precisions
from mobileinst.engine.backend import read_layer_times
from mobileinst.network import ModelConfig
from mobileinst.network.counter import count_layers
from mobileinst.weights import load_weights
from tests.support.benchmark_scripts import ORIGIN, run
from tests.support.kernel_bindings import timing

pytestmark = pytest.mark.usefixtures("same_packages")


@pytest.mark.parametrize("backbone", ["topformer_b", "mobilenetv2"])
def test_shapes_hold_all_multiply_adds_of_convolutions_and_linear_layers(backbone: str) -> None:
    config = ModelConfig(backbone, width=128)
    found = shapes.layer_shapes(config, 200, 333)
    layers = count_layers(config, 200, 333)
    counted = sum(x.macs for x in layers if x.op.startswith(("conv", "linear")))
    assert sum(shape.macs * shape.count for shape in found) == counted


def test_networks_are_named_by_backbone_width_and_size() -> None:
    config = ModelConfig("topformer_t", width=16)
    assert shapes.network_shapes("topformer_t-w16-64") == shapes.layer_shapes(config, 64, 64)
    assert shapes.network_shapes("topformer_t-w16-64x96") == shapes.layer_shapes(config, 64, 96)
    for name in ("topformer_t", "topformer_t-16-64", "topformer_t-w16-64x", "topformer_t-w16-64x96x3"):
        with pytest.raises(ValueError, match="expected a network as in"):
            shapes.network_shapes(name)


def test_networks_are_named_by_shipped_weights() -> None:
    config = load_weights("default").config
    assert shapes.network_shapes("default-64x96") == shapes.layer_shapes(config, 64, 96)
    with pytest.raises(ValueError, match="expected a network as in"):
        shapes.network_shapes("nosuch-64")


def test_roofline_adds_up(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    output, table = tmp_path / "roofline.json", tmp_path / "roofline.md"
    sizes = ("--width", "16", "24", "--size", "64", "--rounds", "3")
    done = run("roofline", "topformer_t", *sizes, "--output", str(output), "--table", str(table))
    assert done.returncode == 0, done.stderr
    networks = json.loads(output.read_text())["networks"]
    assert list(networks) == ["topformer_t w16 64x64", "topformer_t w24 64x64"]
    assert all(name in table.read_text() for name in networks)
    found = networks["topformer_t w16 64x64"]
    assert 0 < found["best_ms"] <= found["median_ms"]
    kinds = sum(kind["limit_ms"] for kind in found["kinds"].values())
    masks = 2e-6 * 100 * 16 * 8 * 8 / found["peak_gflops"]
    assert found["limit_ms"] == pytest.approx(kinds + masks, rel=1e-6)
    assert 0 < found["limit_of_tiles_ms"] != found["limit_ms"]


def test_roofline_counts_integers_at_the_rate_of_theirs(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    if "int8" not in offered_precisions() or _native.tier() == "ref":
        pytest.skip("this instruction set has no products of bytes")
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    annotations, output = tmp_path / "a.json", tmp_path / "roofline.json"
    one = {"id": 1, "file_name": "a.png", "height": 64, "width": 64}
    annotations.write_text(json.dumps({"images": [one], "annotations": [], "categories": []}))
    sizes = ("--width", "16", "--size", "64", "--rounds", "3", "--precision", "fp32", "int8")
    pictures = ("--annotations", str(annotations), "--images", str(tmp_path))
    done = run("roofline", "topformer_t", *sizes, *pictures, "--output", str(output))
    assert done.returncode == 0, done.stderr
    floats, integers = json.loads(output.read_text())["networks"].values()
    assert integers["peak_gflops"] > floats["peak_gflops"]
    assert 0 < integers["limit_ms"] < floats["limit_ms"]


def test_roofline_of_shipped_weights_takes_their_ranges(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="weights_tools needs PyTorch")
    precisions = [name for name in ("fp32", "int8") if name in offered_precisions()]
    output = tmp_path / "roofline.json"
    options = ("default", "--size", "64", "--rounds", "2", "--precision", *precisions)
    done = run("roofline", *options, "--output", str(output))
    assert done.returncode == 0, done.stderr
    networks = json.loads(output.read_text())["networks"]
    assert list(networks) == ["default 64x64", "default 64x64 int8"][: len(precisions)]
    assert all(network["limit_ms"] > 0 for network in networks.values())


def test_roofline_counts_the_products_of_whole_tiles() -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    from benchmarks.roofline import winograd_products

    # maps of 80, 40 and 20 pixels, in 10x10, 5x5 and 5x5 tiles
    assert [_native.winograd_tile(side, side) for side in (80, 40, 20)] == [8, 8, 4]
    nodes = [{"shape": (side, side, 24), "macs": 9 * side**2 * 16 * 24} for side in (80, 40, 20)]
    assert winograd_products(nodes) == 16 * 24 * ((100 + 25) * 100 + 25 * 36)


def test_layers_runs_every_kernel_and_names_who_is_skipped(tmp_path: Path) -> None:
    output = tmp_path / "layers.json"
    names = ("topformer_t-w16-64", "--contestants", "ref", "nosuch")
    done = run("layers", *names, "--quick", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "Skipped: nosuch (unknown" in done.stdout
    written = json.loads(output.read_text(encoding="utf-8"))
    assert {layer["kernel"] for layer in written["layers"]} == {"gemm", "conv3x3", "conv_direct", "depthwise"}
    assert written["peak_gflops"]["fp32"] > 0.1
    assert all(layer["seconds"]["ref"] > 0 for layer in written["layers"])
    assert written["machine"]["cores"] >= 1


@pytest.mark.parametrize("peaks", [[30.0, 20.0], [20.0, 30.0]])
def test_the_higher_peak_of_beginning_and_end_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peaks: list[float]
) -> None:
    measured = iter(peaks)
    output = tmp_path / "layers.json"
    monkeypatch.setattr(timing, "peak_gflops", lambda dtype: next(measured))
    one = shapes.LayerShape("gemm", (10, 8, 12), 2, "a")
    monkeypatch.setattr(layers, "network_shapes", lambda name: [one])
    command = ["layers", "net", "--quick", "--contestants", "ref", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    layers.main()
    assert json.loads(output.read_text(encoding="utf-8"))["peak_gflops"] == {"fp32": 30}


def test_pytorch_is_compiled_with_frozen_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    inductor = importlib.import_module("torch._inductor.config")
    from benchmarks.contestants import torch_engine

    monkeypatch.setattr(torch_engine, "load_module", lambda files, part: torch.nn.Identity())
    monkeypatch.setattr(torch, "compile", lambda module: module)
    case = base.Case("topformer_t", 32, 64, 64, "model", torch.get_num_threads())
    for name, frozen in (("torch", False), ("torch-compiled", True)):
        monkeypatch.setattr(inductor, "freezing", False)
        torch_engine.make(name).load(base.Files(tmp_path, tmp_path), case)
        assert inductor.freezing is frozen


def test_layers_compare_all_tiers_with_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    names, _ = layers.find_contestants(None)
    assert "torch" in names
    shape = shapes.LayerShape("conv_direct", (17, 12, 3, 16, 3, 2), 1, "stem")
    found = layers.measure_shape(shape, [*names, "ref"], rounds=1, milliseconds=0.1)
    assert set(found["difference"]) == {*names, "ref"}


@pytest.mark.parametrize(
    ("kernel", "extents"),
    [
        ("gemm", (33, 70, 41)),
        ("conv3x3", (9, 13, 37, 20)),
        ("conv_direct", (17, 12, 3, 16, 3, 2)),
        ("depthwise", (7, 9, 48, 5, 2)),
    ],
)
def test_layers_of_integers_are_those_of_floats_rounded_to_the_nearest(
    kernel: str, extents: tuple[int, ...]
) -> None:
    tiers = [tier for tier in _native.supported_tiers() if _native.has_kernels(kernel, "int8", tier)]
    names = ["ref", *(f"{tier} int8" for tier in tiers), *(["xnnpack int8"] if _native.has_xnnpack() else [])]
    found = layers.measure_shape(
        shapes.LayerShape(kernel, extents, 1, "a"), names, rounds=1, milliseconds=0.1
    )
    assert set(found["seconds"]) == set(names)
    assert all(found["seconds"][name] > 0 for name in names)
    # half of a 255th of the largest output, which is 3 to 5 times the unit
    assert all(0.003 < found["difference"][name] < 0.012 for name in names[1:])


def test_integers_a_step_away_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = layers.native_plan_runner

    def wrong(*arguments: Any) -> Any:
        seconds, output = right(*arguments)(1)
        output[3, 5] += arguments[4][0]
        return lambda repeats: (seconds, output)

    monkeypatch.setattr(layers, "native_plan_runner", wrong)
    shape = shapes.LayerShape("gemm", (8, 16, 8), 1, "a")
    with pytest.raises(RuntimeError, match="ref int8 differs by"):
        layers.measure_shape(shape, ["ref int8"], rounds=1, milliseconds=0.1)


def test_halves_are_compared_with_floats() -> None:
    names = ["ref", "ref fp16"]
    shape = shapes.LayerShape("conv3x3", (9, 8, 40, 16), 1, "a")
    found = layers.measure_shape(shape, names, rounds=1, milliseconds=0.1)
    assert 1e-5 < found["difference"]["ref fp16"] < 0.01


def test_contestants_take_part_in_the_precisions_that_they_have() -> None:
    found = layers.labels_of(["ref", "torch", "xnnpack"], ["fp32", "int8", "fp16"])
    assert found == ["ref", "torch", "xnnpack", "ref int8", "xnnpack int8", "ref fp16"]


def test_the_table_adds_up_what_all_compute() -> None:
    layer = {"kernel": "gemm", "extents": (10, 10, 10), "macs": 1_000_000, "count": 2}
    result = {
        "contestants": ["a", "b", "a int8"],
        "networks": ["net"],
        "peak_gflops": {"fp32": 4.0, "int8": 8.0},
        "skipped": {},
        "layers": [
            {**layer, "seconds": {"a": 1e-3, "b": 2e-3, "a int8": 5e-4}},
            {**layer, "seconds": {"a": 2e-3, "b": 1e-3, "a int8": 5e-4}},
            {**layer, "seconds": {"a": 1.0, "b": 1.0}},
        ],
        **ORIGIN,
    }
    table = layers.format_table(result)
    assert "peak 4.0 fp32, 8.0 int8" in table
    assert "| gemm 10 10 10 | 2 | 2.00 | 2.0 | 50% | 1.0 | 25% | 4.0 | 50% |" in table
    assert "| 0.0 | 0% | - | - |" in table
    sums = "Layers that all compute: a 6.0 ms, b 6.0 ms, a int8 2.0 ms, each by the fastest in fp32 4.0 ms"
    assert sums in table


def test_shapes_of_several_networks_are_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ("gemm", (1, 2, 3)), ("gemm", (4, 5, 6))
    networks = {
        "a": [shapes.LayerShape(*one, 2, "a"), shapes.LayerShape(*other, 1, "b")],
        "b": [shapes.LayerShape(*one, 5, "c")],
    }
    monkeypatch.setattr(layers, "network_shapes", networks.__getitem__)
    found = layers.all_shapes(["a", "b"])
    assert found == [shapes.LayerShape(*one, 7, "a"), shapes.LayerShape(*other, 1, "b")]


def test_layer_times_are_written_as_the_package_reads_them(tmp_path: Path) -> None:
    tier = _native.supported_tiers()[-1]
    layer = {"kernel": "gemm", "extents": (1, 2, 3), "seconds": {tier: 2.5e-5, "xnnpack": 1e-3, "torch": 9.0}}
    result = {"contestants": [tier, "xnnpack"], "layers": [layer], "networks": ["net"], **ORIGIN}
    layers.write_times(result, tmp_path / "folder" / "times.txt")
    text = (tmp_path / "folder" / "times.txt").read_text(encoding="utf-8")
    assert f"our {tier} kernel" in text
    assert "A CPU, Linux; 2026-01-01; commit abc" in text
    assert read_layer_times(tmp_path / "folder" / "times.txt") == {"gemm 1 2 3": (25.0, 1000.0)}


@pytest.mark.parametrize("missing", [0, 1])
def test_layer_times_want_the_fastest_tier_and_xnnpack(tmp_path: Path, missing: int) -> None:
    names = [_native.supported_tiers()[-1], "xnnpack"]
    names[missing] = "torch"
    with pytest.raises(ValueError, match="and xnnpack to be timed, got"):
        layers.write_times({"contestants": names, "layers": []}, tmp_path / "times.txt")


def test_a_contestant_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = shapes.LayerShape("gemm", (4, 8, 8), 1, "a")
    right = layers.native_runner

    def wrong(*arguments: Any) -> Any:
        seconds, output = right(*arguments[:3], "ref")(1)
        return lambda repeats: (seconds, output + (1.0 if arguments[3] == "wrong" else 0.0))

    monkeypatch.setattr(layers, "native_runner", wrong)
    with pytest.raises(RuntimeError, match="wrong differs by 1"):
        layers.measure_shape(shape, ["ref", "wrong"], rounds=1, milliseconds=0.1)
