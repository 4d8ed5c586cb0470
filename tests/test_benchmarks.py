"""The benchmark scripts on tiny sizes: formats, comparison before timing, who is left out and why."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mobileinst
from mobileinst import _native
from mobileinst.compiler.backend import read_layer_times
from mobileinst.network import ModelConfig
from mobileinst.network.config import BACKBONES
from mobileinst.network.counter import count_layers

#: Where the package under test lies: the scripts and their workers shall use the same.
PACKAGE = Path(mobileinst.__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks as its scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture(autouse=True)
def _same_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def result(median: float, name: str = "x") -> dict[str, Any]:
    times = {"median_ms": median, "min_ms": median - 1, "max_ms": median + 1, "median_cpu_ms": median}
    return {**times, "peak_mib": 90.0, "beyond_mib": 50.0, "version": name, "difference": 0.0, "stages": {}}


ORIGIN = {"machine": {"cpu": "A CPU", "system": "Linux"}, "date": "2026-01-01", "commit": "abc"}


def document() -> dict[str, Any]:
    """What peers.py writes, with one case of two contestants."""
    results = {"mobileinst": result(50.0), "ncnn": result(75.0), "torch": result(200.0)}
    case = {
        "label": "net w128 <1t>",
        "case": {"part": "model"},
        "results": results,
        "skipped": {"mnn": "not installed: pip install MNN"},
    }
    case |= {"ratio": 1.5, "ratio_min": 1.5, "ratio_cpu": 1.5}
    machine = {"cpu": "A CPU", "cores": 2, "system": "Linux", "load": 0.5}
    versions = {"mobileinst": "0.1", "ncnn": "1.0"}
    return {
        "machine": machine,
        "date": "2026-01-01",
        "commit": "",
        "versions": versions,
        "contestants": ["mobileinst", "ncnn", "mnn", "torch"],
        "cases": [case],
    }


@pytest.mark.parametrize("backbone", ["topformer_b", "mobilenetv2"])
def test_shapes_hold_all_multiply_adds_of_convolutions_and_linear_layers(load: Any, backbone: str) -> None:
    config = ModelConfig(backbone, width=128)
    shapes = load("shapes").layer_shapes(config, 200, 333)
    layers = count_layers(config, 200, 333)
    counted = sum(x.macs for x in layers if x.op.startswith(("conv", "depthwise", "linear")))
    assert sum(shape.macs * shape.count for shape in shapes) == counted


def test_shape_files_are_what_the_network_has(load: Any) -> None:
    shapes = load("shapes")
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
def test_a_wrong_line_of_a_shape_file_is_named(load: Any, tmp_path: Path, line: str) -> None:
    path = tmp_path / "shapes.txt"
    path.write_text(f"# comment\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"shapes\.txt:2: expected"):
        load("shapes").read_shapes(path)


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


def test_roofline_counts_the_products_of_whole_tiles(load: Any) -> None:
    # two 3x3 convolutions on each of the maps of 80, 40 and 20 pixels, in 10x10, 5x5 and 5x5 tiles
    assert [_native.winograd_tile(side, side) for side in (80, 40, 20)] == [8, 8, 4]
    products = 2 * 16 * 16 * ((100 + 25) * 100 + 25 * 36)
    assert load("roofline").winograd_products(ModelConfig("topformer_t", width=16), 640) == products


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
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peaks: list[float]
) -> None:
    layers, measured = load("layers"), iter(peaks)
    shapes, output = tmp_path / "tiny.txt", tmp_path / "layers.json"
    shapes.write_text("gemm 10 8 12 x2 a\n", encoding="utf-8")
    monkeypatch.setattr(mobileinst._native.benchmark, "peak_gflops", lambda: next(measured))
    command = ["layers.py", str(shapes), "--quick", "--contestants", "ref", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    layers.main()
    assert json.loads(output.read_text(encoding="utf-8"))["peak_gflops"] == 30


def test_pytorch_is_compiled_with_frozen_weights(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    inductor = importlib.import_module("torch._inductor.config")
    engine, base = load("contestants.torch_engine"), load("contestants.base")
    monkeypatch.setattr(engine, "load_module", lambda files, part: torch.nn.Identity())
    monkeypatch.setattr(torch, "compile", lambda module: module)
    case = base.Case("topformer_t", 32, 64, 64, "model", torch.get_num_threads())
    for name, frozen in (("torch", False), ("torch-compiled", True)):
        monkeypatch.setattr(inductor, "freezing", False)
        engine.make(name).load(base.Files(tmp_path, tmp_path), case)
        assert inductor.freezing is frozen


def test_layers_compare_all_tiers_with_pytorch(load: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    layers = load("layers")
    names, _ = layers.find_contestants(None)
    assert "torch" in names
    shape = load("shapes").LayerShape("conv_direct", (17, 12, 3, 16, 3, 2), 1, "stem")
    found = layers.measure_shape(shape, [*names, "ref"], rounds=1, milliseconds=0.1)
    assert set(found["difference"]) == {*names, "ref"}


def test_shapes_of_several_files_are_timed_once(load: Any, tmp_path: Path) -> None:
    for name, text in (("a", "gemm 1 2 3 x2 a\ngemm 4 5 6 x1 b\n"), ("b", "gemm 1 2 3 x5 c\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = load("layers").read_all([tmp_path / "a", tmp_path / "b"])
    assert [(shape.extents, shape.count, shape.name) for shape in found] == [
        ((1, 2, 3), 7, "a"),
        ((4, 5, 6), 1, "b"),
    ]


def test_layer_times_are_written_as_the_package_reads_them(load: Any, tmp_path: Path) -> None:
    tier = mobileinst._native.supported_tiers()[-1]
    layer = {"kernel": "gemm", "extents": (1, 2, 3), "seconds": {tier: 2.5e-5, "xnnpack": 1e-3, "torch": 9.0}}
    result = {"contestants": [tier, "xnnpack"], "layers": [layer], "shapes": "net", **ORIGIN}
    load("layers").write_times(result, tmp_path / "folder" / "times.txt")
    text = (tmp_path / "folder" / "times.txt").read_text(encoding="utf-8")
    assert f"our {tier} kernel" in text
    assert "A CPU, Linux; 2026-01-01; commit abc" in text
    assert read_layer_times(tmp_path / "folder" / "times.txt") == {"gemm 1 2 3": (25.0, 1000.0)}


@pytest.mark.parametrize("missing", [0, 1])
def test_layer_times_want_the_fastest_tier_and_xnnpack(load: Any, tmp_path: Path, missing: int) -> None:
    names = [mobileinst._native.supported_tiers()[-1], "xnnpack"]
    names[missing] = "torch"
    with pytest.raises(ValueError, match="and xnnpack to be timed, got"):
        load("layers").write_times({"contestants": names, "layers": []}, tmp_path / "times.txt")


def test_a_contestant_that_computes_something_else_is_not_timed(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = load("layers")
    shape = load("shapes").LayerShape("gemm", (4, 8, 8), 1, "a")
    right = layers.native_runner

    def wrong(*arguments: Any) -> Any:
        seconds, output = right(*arguments[:3], "ref")(1)
        return lambda repeats: (seconds, output + (1.0 if arguments[3] == "wrong" else 0.0))

    monkeypatch.setattr(layers, "native_runner", wrong)
    with pytest.raises(RuntimeError, match="wrong differs by 1"):
        layers.measure_shape(shape, ["ref", "wrong"], rounds=1, milliseconds=0.1)


def test_the_peak_of_a_faster_tier_is_not_lower() -> None:
    from mobileinst import _native

    tiers = _native.supported_tiers()
    peaks = [_native.benchmark.peak_gflops(tier, 30) for tier in tiers]
    assert min(peaks) > 0.1
    assert peaks[-1] > 0.5 * max(peaks)
    with pytest.raises(ValueError, match="tier"):
        _native.benchmark.peak_gflops("nosuch")
    with pytest.raises(ValueError, match="milliseconds"):
        _native.benchmark.peak_gflops(None, 0)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("layers.py", ["nosuch.txt"], "No such file or directory: 'nosuch.txt'"),
        ("layers.py", ["x.txt", "--rounds", "0"], "expected a whole number from 1, got 0"),
        ("layers.py", ["SHAPES", "--contestants", "ref", "--output", "no/x"], "can't write no/x"),
        ("layers.py", ["SHAPES", "--contestants", "ref", "--write-times", "x"], "to be timed, got ref"),
        ("peers.py", ["--output", "no/x.json"], "can't write no/x.json"),
        ("peers.py", ["--threads", "0"], "expected a whole number from 1, got 0"),
        ("peers.py", ["--backbones", "nosuch", "--folder", "FOLDER"], "invalid choice: 'nosuch'"),
        ("frame.py", ["--table", "no/x.md"], "can't write no/x.md"),
        ("frame.py", ["--image", "nosuch.npy"], "nosuch.npy"),
        ("frame.py", ["--instances", "101", "--folder", "FOLDER"], "--instances: expected at most 100"),
        ("roofline.py", ["nosuch"], "invalid choice: 'nosuch'"),
        ("roofline.py", ["topformer_t", "--width", "0"], "width"),
        ("shapes.py", ["nosuch"], "backbone must be one of"),
        ("plot.py", ["nosuch.json", "x.svg"], "No such file or directory: 'nosuch.json'"),
        ("plot.py", ["LIST", "x.svg"], "not a result that can be drawn"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_told_in_a_line(
    tmp_path: Path, script: str, arguments: list[str], message: str
) -> None:
    if script in ("peers.py", "frame.py", "roofline.py"):
        pytest.importorskip("torch", reason="random weights are made with PyTorch")
    (tmp_path / "SHAPES").write_text("gemm 1 2 3 x1 a\n", encoding="utf-8")
    (tmp_path / "LIST").write_text("[]", encoding="utf-8")
    paths = {name: str(tmp_path / name) for name in ("SHAPES", "LIST", "FOLDER")}
    done = run(script, *(paths.get(argument, argument) for argument in arguments))
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_beside_an_engine_is_named(
    load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = load("worker")
    commands = io.StringIO('{"do": "load"}\n')
    missing = ImportError("No module named 'cv2'", name="cv2")
    fails = types.SimpleNamespace(name="onnxruntime", load=lambda: (_ for _ in ()).throw(missing))
    monkeypatch.setattr(sys, "stdin", commands)
    worker.serve(fails, sys.stdout)
    reply = json.loads(capsys.readouterr().out)
    assert reply == {"missing": "No module named 'cv2'; pip install opencv-python-headless"}


IMPORTS = """
import sys, pipeline, worker
case, files = worker.Case("x", 32, 64, 64, "model", 1), worker.Files(worker.Path(), worker.Path())
before = worker.Worker("mobileinst", case, files, None).before
found = {name.partition(".")[0] for name in sys.modules}
assert "numpy" in found and not found & {"mobileinst", "weights_tools"}, found
worker.make_contestant("mobileinst")
print(worker.memory("VmRSS") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_our_memory_is_measured_with_our_import() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(FOLDER)])}
    command = [sys.executable, "-c", IMPORTS]
    # not from the checkout, whose package has no extension where it is installed elsewhere
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=FOLDER)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1  # MiB


def test_difference_is_relative_to_the_largest_value_of_each_output(load: Any) -> None:
    difference = load("support.comparison").difference
    ours = {"a": np.array([1.0, -100.0]), "b": np.array([[2.0]])}
    assert difference(ours, {"a": np.array([[1.0, -99.0]]), "b": np.array([2.0])}) == pytest.approx(0.01)
    assert difference(ours, {"b": np.array([1.0]), "c": np.zeros(3)}) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no common output"):
        difference(ours, {"c": np.zeros(1)})
    with pytest.raises(ValueError, match="a has 3 values, 2 expected"):
        difference(ours, {"a": np.zeros(3)})


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_outputs_that_are_not_finite_equal_none(load: Any, strange: float) -> None:
    difference = load("support.comparison").difference
    fine, broken = {"a": np.zeros(2), "b": np.ones(2)}, {"a": np.zeros(2), "b": np.array([1, strange])}
    for ours, theirs in ((fine, broken), (broken, fine), (broken, broken)):
        with pytest.raises(ValueError, match="b holds values that are not finite"):
            difference(ours, theirs)


def test_the_table_gives_ratio_versions_and_who_was_skipped(load: Any) -> None:
    text = load("peers").format_report(document())
    assert "| net w128 <1t> | 50.0 (49.0-51.0) | 75.0 (74.0-76.0) | - | 200.0 (199.0-201.0) | 1.50 |" in text
    assert "A CPU, 2 cores, Linux; 2026-01-01, load 0.5; commit unknown" in text
    assert "mobileinst 0.1, ncnn 1.0" in text
    assert "Skipped: mnn (not installed: pip install MNN)." in text


def test_each_part_has_tables_of_its_own(load: Any) -> None:
    one = document()
    assert "## " not in load("peers").format_report(one)
    other = {**one["cases"][0], "label": "net backbone", "case": {"part": "backbone"}, "skipped": {}}
    text = load("peers").format_report({**one, "cases": [*one["cases"], other]})
    _, model, backbone = text.split("## ")
    assert model.startswith(
        "model: class_logits, objectness_logits, kernels, mask_features, mask_logits\n\n|"
    )
    assert backbone.startswith("backbone: x3, x4, x5, x6\n\n|")
    for section, label in ((model, "net w128 <1t>"), (backbone, "net backbone")):
        assert section.count(f"\n| {label} |") == section.count("| case |") == 3
    assert "Skipped in net w128 <1t>: mnn (not installed: pip install MNN)." in text


def test_a_machine_that_tells_little_is_described(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = load("support.machine")
    full = machine.describe_machine()
    assert full["cores"] >= 1

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.delattr("os.getloadavg", raising=False)
    monkeypatch.setattr("os.sysconf", unknown, raising=False)
    found = machine.describe_machine()
    assert found["cores"] == os.cpu_count()
    assert (found["memory_gib"], found["load"]) == (None, None)
    monkeypatch.delattr("os.sysconf")
    assert machine.describe_machine() == found
    assert found.keys() == full.keys()
    assert "load unknown" in load("peers").format_report({**document(), "machine": found})


def test_ratio_is_the_fastest_other_over_ours(load: Any) -> None:
    ratio = load("peers").ratio
    results = document()["cases"][0]["results"]
    assert ratio(results) == pytest.approx(1.5)
    assert ratio(results, "min_ms") == pytest.approx(74 / 49)
    assert ratio({"mobileinst": result(1.0)}) is None
    assert ratio({"ncnn": result(1.0)}) is None


def test_plot_is_xml_with_a_bar_for_each_contestant(load: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "r.json", tmp_path / "r.svg"
    source.write_text(json.dumps(document()), encoding="utf-8")
    done = run("plot.py", str(source), str(target))
    assert done.returncode == 0, done.stderr
    root = ElementTree.parse(target).getroot()
    bars = [float(x.attrib["width"]) for x in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == pytest.approx([125.0, 187.5, 500.0])
    done = run("plot.py", str(source), str(target), "--cases", "nosuch")
    assert done.returncode == 1
    assert "no results for ['nosuch']" in done.stderr


def test_plot_takes_the_cases_whose_labels_hold_the_words(load: Any) -> None:
    labels = [f"net w{w} {s}x{s} {p} 1t" for w in (1, 2) for s in (512, 640) for p in ("model", "masks")]
    results = {"mobileinst": result(1.0)}
    cases = [{"label": label, "results": results} for label in labels]
    found = {**document(), "cases": cases}
    draw = load("plot").draw
    drawn = draw(found, ["640x640 model", "w2 512x512 masks"])
    chosen = [label for label in labels if label in drawn]
    assert chosen == ["net w1 640x640 model 1t", "net w2 512x512 masks 1t", "net w2 640x640 model 1t"]
    assert all(label in draw(found) for label in labels)


def test_boxed_masks_equal_full_ones(load: Any) -> None:
    pytest.importorskip("cv2")
    pipeline = load("pipeline")
    generator = np.random.default_rng(3)
    logits = np.full((12, 20), -3.0, np.float32)
    logits[3:8, 5:13] = generator.uniform(-1, 4, (5, 8)).astype(np.float32)
    full, boxed = pipeline.full_mask(logits, 96, 150), pipeline.boxed_mask(logits, 96, 150)
    assert full.any()
    # OpenCV's warp rounds its coefficients to 1/32
    assert (full != boxed).mean() < 0.005
    assert not pipeline.boxed_mask(np.full((4, 4), -9.0, np.float32), 8, 8).any()


def test_placed_objects_are_as_many_as_wanted_and_no_duplicates(load: Any) -> None:
    objects = load("support.objects")
    made = objects.ellipses(3, (30, 54))
    assert all(x.shape == (30, 54) and x.dtype == np.float32 for x in made)
    placed = objects.place(made, 40)
    assert placed.shape == (40, 30, 54)
    np.testing.assert_array_equal(placed[:3], made)
    masks = placed > objects.MASK_LOGIT
    assert masks.any((1, 2)).all()
    overlap = objects.mask_iou(masks, masks) - np.eye(40)
    assert 0 < overlap.max() <= objects.MOST_OVERLAP
    with pytest.raises(ValueError, match="2 objects find no room, only 0 do"):
        objects.place([], 2)
    with pytest.raises(ValueError, match="find no room"):
        objects.place([np.full((4, 4), 5, np.float32)], 9)


def test_objects_are_what_the_default_weights_find(load: Any, shared: Path) -> None:
    pytest.importorskip("cv2")
    objects = load("support.objects")
    pictures = [x for x in objects.shared_pictures() if x.suffix == ".mp4"]
    found = objects.found_objects(map(objects.read_picture, pictures), (192, 320))
    assert len(found) >= 2
    for logits in found:
        assert logits.shape == (24, 40)
        assert 0.001 < (logits > objects.MASK_LOGIT).mean() < 0.9


def test_blocks_count_the_pixels_of_a_mask(load: Any) -> None:
    mask = np.random.default_rng(0).random((40, 33)) < 0.5
    blocks = load("pipeline").block_areas(mask)
    assert blocks.shape == (3, 3)
    assert blocks[1, 1] == mask[16:32, 16:32].sum()
    assert blocks[2, 2] == mask[32:, 32:].sum()


def test_merging_keeps_only_cases_of_the_same_code(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, path = load("frame"), tmp_path / "frame.json"
    monkeypatch.setattr(frame, "commit", lambda: "abc")
    assert frame.earlier_cases(path, {"a"}) == []
    path.write_text(
        json.dumps({"commit": "abc", "cases": [{"label": "a"}, {"label": "b"}]}), encoding="utf-8"
    )
    assert frame.earlier_cases(path, {"a"}) == [{"label": "b"}]
    monkeypatch.setattr(frame, "commit", lambda: "def")
    with pytest.raises(SystemExit, match="of commit abc, this is def"):
        frame.earlier_cases(path, {"a"})


def test_frames_have_a_ratio_for_each_way_of_post_processing(load: Any) -> None:
    results = {
        "mobileinst": {"median_ms": 2.0, "min_ms": 1.0},
        "a+usual": {"median_ms": 6.0, "min_ms": 5.0},
        "b+usual": {"median_ms": 5.0, "min_ms": 4.5},
    }
    table = load("frame").ratio_table([{"label": "x", "results": results}], ["usual", "boxed"])
    assert [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")] == [
        "x", "2.50", "4.50", "-", "-"
    ]  # fmt: skip


def test_frames_are_compared_with_the_engines_that_are_often_fastest(load: Any) -> None:
    options = load("frame").make_parser().parse_args([])
    assert options.contestants == ["mobileinst", "onnxruntime", "ncnn", "mnn"]


def test_an_engine_that_fails_or_is_unknown_says_why(load: Any, tmp_path: Path) -> None:
    processes, base = load("support.processes"), load("contestants.base")
    case = base.Case("topformer_t", 32, 64, 64, "model", 1)
    files = base.Files(tmp_path / "none.safetensors", tmp_path / "none.onnx")
    process = processes.Process("mobileinst", case, files)
    with pytest.raises(processes.Unavailable, match=r"none\.safetensors"):
        process.ask("load")
    with pytest.raises(ValueError, match="unknown contestant 'nosuch'"):
        load("contestants").make_contestant("nosuch")


def test_what_is_converted_is_kept_only_whole_and_of_the_same_version(load: Any, tmp_path: Path) -> None:
    make_once, target, made = load("contestants.base").make_once, tmp_path / "net.mnn", []

    def make() -> None:
        made.append(1)
        target.write_text("half", encoding="utf-8")
        if len(made) == 1:
            raise KeyboardInterrupt
        target.write_text("whole", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        make_once(target, "tool 1", make)
    assert target.read_text(encoding="utf-8") == "half"
    for version, count in (("tool 1", 2), ("tool 1", 2), ("tool 2", 3), ("tool 2", 3)):
        make_once(target, version, make)
        assert (target.read_text(encoding="utf-8"), len(made)) == ("whole", count)
    with pytest.raises(RuntimeError, match=r"tool 3 wrote no net\.mnn"):
        make_once(target, "tool 3", lambda: None)


def test_networks_are_kept_by_the_content_of_weights_and_tools(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, base, calls = load("support.network"), load("contestants.base"), []

    def tool(name: str, *arguments: str) -> None:
        calls.append(name)
        Path(arguments[1]).write_text(name, encoding="utf-8")

    monkeypatch.setattr(network, "_tool", tool)
    case, weights = base.Case("topformer_t", 32, 64, 64, "model", 1), tmp_path / "w.safetensors"
    found = []
    for content in ("a", "a", "b"):
        weights.write_text(content, encoding="utf-8")
        found.append(network.prepare(case, tmp_path, weights).onnx)
    assert found[0] == found[1] != found[2]
    assert calls == ["export_onnx"] * 2
    monkeypatch.setattr(network, "package_version", lambda name: "another")
    assert network.prepare(case, tmp_path, weights).onnx not in found
    for _ in range(2):
        network.prepare(case, tmp_path, None)
    assert calls == ["export_onnx"] * 3 + ["create", "export_onnx"]


class Answers:
    """Stands in for a contestant's process; it fails at the given question."""

    def __init__(self, name: str, fails: int, unavailable: type[Exception]) -> None:
        self.name, self.left, self.unavailable, self.ended = name, fails, unavailable, False

    def ask(self, action: str, **values: Any) -> dict[str, Any]:
        self.left -= 1
        if self.left == 0:
            raise self.unavailable(f"{action} failed: its process ended with -11")
        repeats = values.get("repeats", 0)
        return {"peak_mib": 1.0} if action == "quit" else {"ms": [2.0] * repeats, "cpu_ms": [1.0] * repeats}

    def close(self) -> None:
        self.ended = True


def test_who_dies_while_being_timed_is_skipped_and_the_others_go_on(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison, unavailable = load("support.comparison"), load("support.processes").Unavailable
    fails = {"mobileinst": 99, "first": 1, "later": 3, "last": 5}
    processes = [Answers(name, n, unavailable) for name, n in fails.items()]
    facts: dict[str, dict[str, Any]] = {name: {"version": "1"} for name in fails}
    monkeypatch.setattr(comparison, "start", lambda *arguments: (processes, facts, {"gone": "not installed"}))
    base = load("contestants.base")
    case, files = base.Case("topformer_t", 32, 64, 64, "model", 1), base.Files(tmp_path, tmp_path)
    # one warm-up, three rounds, then the last question
    found = comparison.compare([], case, files, 3, io.StringIO())
    assert set(found["results"]) == {"mobileinst"}
    assert found["results"]["mobileinst"]["median_ms"] == 2.0
    why = "failed: its process ended with -11"
    run_failed = f"run {why}"
    assert found["skipped"] == {
        "gone": "not installed", "first": run_failed, "later": run_failed, "last": f"quit {why}"
    }  # fmt: skip
    assert all(process.ended for process in processes)


def test_a_process_that_dies_within_its_answer_is_unavailable(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes, base = load("support.processes"), load("contestants.base")
    worker = tmp_path / "worker.py"
    worker.write_text("""input(); print('{"ms": [1.', end="", flush=True)""", encoding="utf-8")
    monkeypatch.setattr(processes, "_WORKER", worker)
    files = base.Files(tmp_path, tmp_path)
    process = processes.Process("ncnn", base.Case("topformer_t", 32, 64, 64, "model", 1), files)
    with pytest.raises(processes.Unavailable, match="run failed: its process ended within its answer"):
        process.ask("run", repeats=1)


def test_a_comparison_without_us_ends_with_a_message(load: Any) -> None:
    check = load("peers").check_ours
    cases = document()["cases"]
    check(cases)
    dead = {"label": "b", "results": {"ncnn": result(1.0)}, "skipped": {"mobileinst": "run failed"}}
    with pytest.raises(SystemExit, match="mobileinst did not run in b: run failed"):
        check([*cases, dead])
    with pytest.raises(SystemExit, match="took no part"):
        check([{**dead, "skipped": {}}])


@pytest.mark.slow
@pytest.mark.parametrize("script", ["peers.py", "frame.py"])
def test_whole_comparison_in_small(script: str, tmp_path: Path) -> None:
    for module in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    names = ["mobileinst", "onnxruntime", "ncnn"]
    alone = script == "frame.py" and importlib.util.find_spec("cv2") is None
    output, table = tmp_path / "out.json", tmp_path / "out.md"
    arguments = ["--quick", "--contestants", *names, "--folder", str(tmp_path / "work")]
    done = run(script, *arguments, "--output", str(output), "--table", str(table))
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text(encoding="utf-8"))
    case = written["cases"][0]
    assert all("mobileinst" in x["results"] for x in written["cases"])
    if script == "peers.py":
        assert [x["case"]["part"] for x in written["cases"]] == ["model", "masks", "features", "backbone"]
    if script == "frame.py":
        assert case["label"] == "64x48 at 64, 2 instances, 1t"
        assert case["case"]["part"] == "masks"  # nobody makes or copies out what a frame doesn't need
        assert set(case["results"]["mobileinst+segment"]["stages"]) == {"preprocess", "network", "post"}
        assert "ellipses" in table.read_text(encoding="utf-8")
    if alone:
        assert "cv2" in case["skipped"]["onnxruntime+usual"]
    else:
        assert len(case["results"]) >= 2
        assert case["ratio"] > 0
    for name, x in case["results"].items():
        assert x["min_ms"] <= x["median_ms"] <= x["max_ms"], name
        assert x["difference"] < 0.02
        assert x["peak_mib"] > x["beyond_mib"] > 0
    if importlib.util.find_spec("ncnn") is None:
        assert all("not installed" in why for name, why in case["skipped"].items() if name.startswith("ncnn"))
        assert case["skipped"]
        assert "Skipped: ncnn" in table.read_text(encoding="utf-8")
