"""The benchmarks of layers on tiny sizes: shape files, comparison before timing, roofline."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmark_scripts import ORIGIN, run
from kernel_bindings import timing

from mobileinst import _native
from mobileinst.engine.backend import read_layer_times
from mobileinst.network import ModelConfig
from mobileinst.network.config import BACKBONES
from mobileinst.network.counter import count_layers


@pytest.mark.parametrize("backbone", ["topformer_b", "mobilenetv2"])
def test_shapes_hold_all_multiply_adds_of_convolutions_and_linear_layers(
    load_benchmark: Any, backbone: str
) -> None:
    config = ModelConfig(backbone, width=128)
    shapes = load_benchmark("shapes").layer_shapes(config, 200, 333)
    layers = count_layers(config, 200, 333)
    counted = sum(x.macs for x in layers if x.op.startswith(("conv", "depthwise", "linear")))
    assert sum(shape.macs * shape.count for shape in shapes) == counted


def test_shape_files_are_what_the_network_has(load_benchmark: Any) -> None:
    shapes = load_benchmark("shapes")
    files = sorted(shapes.FOLDER.glob("*.txt"))
    every = {f"{backbone}-w{width}-640" for backbone in BACKBONES for width in (128, 256)}
    assert every <= {path.stem for path in files}
    for path in files:
        backbone, width, size = path.stem.rsplit("-", 2)
        found = shapes.layer_shapes(ModelConfig(backbone, width=int(width[1:])), *shapes.read_size(size))
        assert shapes.read_shapes(path) == found


@pytest.mark.parametrize(
    "line", ["gemm 1 2 x1 name", "cube 1 2 3 x1 name", "gemm 1 2 3 4 name", "gemm a 2 3 x1 n"]
)
def test_a_wrong_line_of_a_shape_file_is_named(load_benchmark: Any, tmp_path: Path, line: str) -> None:
    path = tmp_path / "shapes.txt"
    path.write_text(f"# comment\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"shapes\.txt:2: expected"):
        load_benchmark("shapes").read_shapes(path)


def test_roofline_adds_up(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    output, table = tmp_path / "roofline.json", tmp_path / "roofline.md"
    sizes = ("--width", "16", "24", "--size", "64", "--rounds", "3")
    done = run("roofline.py", "topformer_t", *sizes, "--output", str(output), "--table", str(table))
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


def test_roofline_counts_the_products_of_whole_tiles(load_benchmark: Any) -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    # two 3x3 convolutions on each of the maps of 80, 40 and 20 pixels, in 10x10, 5x5 and 5x5 tiles
    assert [_native.winograd_tile(side, side) for side in (80, 40, 20)] == [8, 8, 4]
    products = 2 * 16 * 16 * ((100 + 25) * 100 + 25 * 36)
    assert load_benchmark("roofline").winograd_products(ModelConfig("topformer_t", width=16), 640) == products


def test_layers_runs_every_kernel_and_names_who_is_skipped(tmp_path: Path) -> None:
    shapes = tmp_path / "tiny.txt"
    shapes.write_text(
        "gemm 10 8 12 x2 a\nconv3x3 9 7 8 16 x1 b\n"
        "conv_direct 9 8 3 16 3 2 x1 c\ndepthwise 9 8 24 5 2 x3 d\n",
        encoding="utf-8",
    )
    output = tmp_path / "layers.json"
    done = run("layers.py", str(shapes), "--quick", "--contestants", "ref", "nosuch", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "Skipped: nosuch (unknown" in done.stdout
    written = json.loads(output.read_text(encoding="utf-8"))
    assert [layer["kernel"] for layer in written["layers"]] == ["gemm", "conv3x3", "conv_direct", "depthwise"]
    assert written["peak_gflops"] > 0.1
    assert all(layer["seconds"]["ref"] > 0 for layer in written["layers"])
    assert written["machine"]["cores"] >= 1


@pytest.mark.parametrize("peaks", [[30.0, 20.0], [20.0, 30.0]])
def test_the_higher_peak_of_beginning_and_end_counts(
    load_benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peaks: list[float]
) -> None:
    layers, measured = load_benchmark("layers"), iter(peaks)
    shapes, output = tmp_path / "tiny.txt", tmp_path / "layers.json"
    shapes.write_text("gemm 10 8 12 x2 a\n", encoding="utf-8")
    monkeypatch.setattr(timing, "peak_gflops", lambda: next(measured))
    command = ["layers.py", str(shapes), "--quick", "--contestants", "ref", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    layers.main()
    assert json.loads(output.read_text(encoding="utf-8"))["peak_gflops"] == 30


def test_pytorch_is_compiled_with_frozen_weights(
    load_benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    inductor = importlib.import_module("torch._inductor.config")
    engine, base = load_benchmark("contestants.torch_engine"), load_benchmark("contestants.base")
    monkeypatch.setattr(engine, "load_module", lambda files, part: torch.nn.Identity())
    monkeypatch.setattr(torch, "compile", lambda module: module)
    case = base.Case("topformer_t", 32, 64, 64, "model", torch.get_num_threads())
    for name, frozen in (("torch", False), ("torch-compiled", True)):
        monkeypatch.setattr(inductor, "freezing", False)
        engine.make(name).load(base.Files(tmp_path, tmp_path), case)
        assert inductor.freezing is frozen


def test_layers_compare_all_tiers_with_pytorch(load_benchmark: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    layers = load_benchmark("layers")
    names, _ = layers.find_contestants(None)
    assert "torch" in names
    shape = load_benchmark("shapes").LayerShape("conv_direct", (17, 12, 3, 16, 3, 2), 1, "stem")
    found = layers.measure_shape(shape, [*names, "ref"], rounds=1, milliseconds=0.1)
    assert set(found["difference"]) == {*names, "ref"}


def test_shapes_of_several_files_are_timed_once(load_benchmark: Any, tmp_path: Path) -> None:
    for name, text in (("a", "gemm 1 2 3 x2 a\ngemm 4 5 6 x1 b\n"), ("b", "gemm 1 2 3 x5 c\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = load_benchmark("layers").read_all([tmp_path / "a", tmp_path / "b"])
    assert [(shape.extents, shape.count, shape.name) for shape in found] == [
        ((1, 2, 3), 7, "a"),
        ((4, 5, 6), 1, "b"),
    ]


def test_layer_times_are_written_as_the_package_reads_them(load_benchmark: Any, tmp_path: Path) -> None:
    tier = _native.supported_tiers()[-1]
    layer = {"kernel": "gemm", "extents": (1, 2, 3), "seconds": {tier: 2.5e-5, "xnnpack": 1e-3, "torch": 9.0}}
    result = {"contestants": [tier, "xnnpack"], "layers": [layer], "shapes": "net", **ORIGIN}
    load_benchmark("layers").write_times(result, tmp_path / "folder" / "times.txt")
    text = (tmp_path / "folder" / "times.txt").read_text(encoding="utf-8")
    assert f"our {tier} kernel" in text
    assert "A CPU, Linux; 2026-01-01; commit abc" in text
    assert read_layer_times(tmp_path / "folder" / "times.txt") == {"gemm 1 2 3": (25.0, 1000.0)}


@pytest.mark.parametrize("missing", [0, 1])
def test_layer_times_want_the_fastest_tier_and_xnnpack(
    load_benchmark: Any, tmp_path: Path, missing: int
) -> None:
    names = [_native.supported_tiers()[-1], "xnnpack"]
    names[missing] = "torch"
    with pytest.raises(ValueError, match="and xnnpack to be timed, got"):
        load_benchmark("layers").write_times({"contestants": names, "layers": []}, tmp_path / "times.txt")


def test_a_contestant_that_computes_something_else_is_not_timed(
    load_benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = load_benchmark("layers")
    shape = load_benchmark("shapes").LayerShape("gemm", (4, 8, 8), 1, "a")
    right = layers.native_runner

    def wrong(*arguments: Any) -> Any:
        seconds, output = right(*arguments[:3], "ref")(1)
        return lambda repeats: (seconds, output + (1.0 if arguments[3] == "wrong" else 0.0))

    monkeypatch.setattr(layers, "native_runner", wrong)
    with pytest.raises(RuntimeError, match="wrong differs by 1"):
        layers.measure_shape(shape, ["ref", "wrong"], rounds=1, milliseconds=0.1)


def test_the_peak_of_a_faster_tier_is_not_lower() -> None:
    tiers = _native.supported_tiers()
    peaks = [timing.peak_gflops(tier, 30) for tier in tiers]
    assert min(peaks) > 0.1
    assert peaks[-1] > 0.5 * max(peaks)
    with pytest.raises(ValueError, match="tier"):
        timing.peak_gflops("nosuch")
    with pytest.raises(ValueError, match="milliseconds"):
        timing.peak_gflops(None, 0)
