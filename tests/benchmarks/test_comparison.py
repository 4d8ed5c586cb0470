"""The comparisons of engines on tiny sizes: formats, who is left out and why, wrong arguments."""

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

from benchmarks import contestants, peers, worker
from benchmarks.contestants import base
from benchmarks.support import comparison, machine, network, processes
from tests.support.benchmark_scripts import run

pytestmark = pytest.mark.usefixtures("same_packages")

SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def result(median: float, name: str = "x") -> dict[str, Any]:
    times = {"median_ms": median, "min_ms": median - 1, "max_ms": median + 1, "median_cpu_ms": median}
    exact = {"difference": 0.0, "error": 0.0, "stages": {}}
    return {**times, "peak_mib": 90.0, "beyond_mib": 50.0, "version": name, **exact}


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


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("layers", ["nosuch"], "expected a network as in topformer_b-w128-640"),
        ("layers", ["nosuch-w16-64"], "backbone must be one of"),
        ("layers", ["NETWORK", "--rounds", "0"], "expected a whole number from 1, got 0"),
        ("layers", ["NETWORK", "--contestants", "ref", "--output", "no/x"], "can't write no/x"),
        ("layers", ["NETWORK", "--contestants", "ref", "--write-times", "x"], "to be timed, got ref"),
        ("peers", ["--output", "no/x.json"], "can't write no/x.json"),
        ("peers", ["--threads", "0"], "expected a whole number from 1, got 0"),
        ("peers", ["--backbones", "nosuch", "--folder", "FOLDER"], "invalid choice: 'nosuch'"),
        ("frame", ["--table", "no/x.md"], "can't write no/x.md"),
        ("frame", ["--image", "nosuch.npy"], "nosuch.npy"),
        ("frame", ["--instances", "101", "--folder", "FOLDER"], "--instances: expected at most 100"),
        ("roofline", ["nosuch"], "invalid choice: 'nosuch'"),
        ("roofline", ["topformer_t", "--width", "0"], "width"),
        ("plot", ["nosuch.json", "x.svg"], "No such file or directory: 'nosuch.json'"),
        ("plot", ["LIST", "x.svg"], "not a result that can be drawn"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_told_in_a_line(
    tmp_path: Path, script: str, arguments: list[str], message: str
) -> None:
    if script == "plot":
        pytest.importorskip("matplotlib")
    if script in ("peers", "frame", "roofline"):
        pytest.importorskip("torch", reason="random weights are made with PyTorch")
    if script in ("layers", "roofline"):
        importlib.import_module("tests.support.kernel_bindings")
    names = {name: str(tmp_path / name) for name in ("LIST", "FOLDER")} | {"NETWORK": "topformer_t-w16-64"}
    (tmp_path / "LIST").write_text("[]", encoding="utf-8")
    done = run(script, *(names.get(argument, argument) for argument in arguments))
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_beside_an_engine_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = io.StringIO('{"do": "load"}\n')
    missing = ImportError("No module named 'cv2'", name="cv2")
    fails = types.SimpleNamespace(name="onnxruntime", load=lambda: (_ for _ in ()).throw(missing))
    monkeypatch.setattr(sys, "stdin", commands)
    worker.serve(fails, sys.stdout)
    reply = json.loads(capsys.readouterr().out)
    assert reply == {"missing": "No module named 'cv2'; pip install opencv-python-headless"}


IMPORTS = """
import sys
from benchmarks import pipeline, worker
case, files = worker.Case("x", 32, 64, 64, "model", 1), worker.Files(worker.Path(), worker.Path())
before = worker.Worker("mobileinst", case, files, None).before
found = {name.partition(".")[0] for name in sys.modules}
assert "numpy" in found and not found & {"mobileinst", "weights_tools"}, found
worker.make_contestant("mobileinst")
print(worker.memory("VmRSS") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_our_memory_is_measured_with_our_import() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1  # MiB


def test_difference_is_relative_to_the_largest_value_of_each_output() -> None:
    ours = {"a": np.array([1.0, -100.0]), "b": np.array([[2.0]])}
    theirs = {"a": np.array([[1.0, -99.0]]), "b": np.array([2.0])}
    assert comparison.difference(ours, theirs) == pytest.approx(0.01)
    assert comparison.difference(ours, {"b": np.array([1.0]), "c": np.zeros(3)}) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no common output"):
        comparison.difference(ours, {"c": np.zeros(1)})
    with pytest.raises(ValueError, match="a has 3 values, 2 expected"):
        comparison.difference(ours, {"a": np.zeros(3)})


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_outputs_that_are_not_finite_equal_none(strange: float) -> None:
    fine, broken = {"a": np.zeros(2), "b": np.ones(2)}, {"a": np.zeros(2), "b": np.array([1, strange])}
    for ours, theirs in ((fine, broken), (broken, fine), (broken, broken)):
        with pytest.raises(ValueError, match="b holds values that are not finite"):
            comparison.difference(ours, theirs)


def test_the_table_gives_ratio_versions_and_who_was_skipped() -> None:
    text = peers.format_report(document())
    assert "| net w128 <1t> | 50.0 (49.0-51.0) | 75.0 (74.0-76.0) | - | 200.0 (199.0-201.0) | 1.50 |" in text
    assert "A CPU, 2 cores, Linux; 2026-01-01, load 0.5; commit unknown" in text
    assert "mobileinst 0.1, ncnn 1.0" in text
    assert "Skipped: mnn (not installed: pip install MNN)." in text


def test_each_part_has_tables_of_its_own() -> None:
    one = document()
    assert "## " not in peers.format_report(one)
    other = {**one["cases"][0], "label": "net backbone", "case": {"part": "backbone"}, "skipped": {}}
    text = peers.format_report({**one, "cases": [*one["cases"], other]})
    _, model, backbone = text.split("## ")
    assert model.startswith(
        "model: class_logits, objectness_logits, kernels, mask_features, mask_logits\n\n|"
    )
    assert backbone.startswith("backbone: x3, x4, x5, x6\n\n|")
    for section, label in ((model, "net w128 <1t>"), (backbone, "net backbone")):
        assert section.count(f"\n| {label} |") == section.count("| case |") == 3
    assert "Skipped in net w128 <1t>: mnn (not installed: pip install MNN)." in text


def test_a_machine_that_tells_little_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert "load unknown" in peers.format_report({**document(), "machine": found})


def test_ratio_is_the_fastest_other_over_ours() -> None:
    results = document()["cases"][0]["results"]
    assert peers.ratio(results) == pytest.approx(1.5)
    assert peers.ratio(results, "min_ms") == pytest.approx(74 / 49)
    assert peers.ratio({**results, "mobileinst int8": result(25.0)}) == pytest.approx(3.0)
    assert peers.ratio({**results, "openvino int8": result(40.0)}) == pytest.approx(0.8)
    assert peers.ratio({"mobileinst": result(1.0)}) is None
    assert peers.ratio({"ncnn": result(1.0)}) is None


def test_entries_are_engines_in_the_precisions_that_they_have() -> None:
    found = contestants.entries(["mobileinst", "openvino", "ncnn"], ["fp32", "bf16", "int8"])
    assert found == [
        "mobileinst", "openvino", "ncnn", "openvino bf16", "mobileinst int8", "openvino int8"
    ]  # fmt: skip
    assert contestants.parse_entry("openvino") == ("openvino", "fp32")
    assert contestants.parse_entry("openvino int8+usual") == ("openvino", "int8")
    assert contestants.is_ours("mobileinst int8+segment")
    assert not contestants.is_ours("ncnn")
    with_us = types.SimpleNamespace(contestants=["mobileinst", "openvino"], precision=["int8"])
    assert peers.entries_of(with_us) == ["mobileinst", "mobileinst int8", "openvino int8"]  # type: ignore[arg-type]
    assert peers.needs_ranges(["mobileinst", "ncnn fp16"]) is False
    assert peers.needs_ranges(["mobileinst auto"]) is True


def test_several_precisions_have_a_table_with_error_and_ap() -> None:
    one = document()
    results = one["cases"][0]["results"]
    results["mobileinst int8"] = {**result(25.0), "error": 0.0123, "ap": 0.2481}
    names = [*one["contestants"], "mobileinst int8"]
    case = {**one["cases"][0], "ratio": 3.0, "ratio_min": 3.0, "ratio_cpu": None}
    text = peers.format_report({**one, "contestants": names, "cases": [case]})
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows[0] == "| mobileinst int8 | 25.0 (24.0-26.0) | 1.00 | 25.0 | 50 | 1.23% | 24.8 |"
    assert rows[1].startswith("| mobileinst | 50.0 (49.0-51.0) | 2.00 | ")
    assert "Fastest other / our fastest: 3.00; of minima 3.00, of CPU time -." in text


def test_a_fast_wrong_answer_does_not_count() -> None:
    results = {name: {**result(ms), "ap": ap} for name, ms, ap in (
        ("mobileinst", 50.0, 0.25), ("mobileinst int8", 25.0, 0.24),
        ("ncnn int8", 10.0, 0.2), ("openvino int8", 30.0, 0.245),
    )}  # fmt: skip
    assert peers.ratio(results) == pytest.approx(30 / 25)
    ratios = {"ratio": 1.2, "ratio_min": 1.2, "ratio_cpu": 1.2}
    text = peers.format_precisions({"label": "x", "results": results, **ratios})
    assert "| ncnn int8 | 10.0 (9.0-11.0) | - | 10.0 | 50 | 0.00% | 20.0 |" in text
    assert "| openvino int8 | 30.0 (29.0-31.0) | 1.20 |" in text


def test_rounding_is_told_and_leaves_nobody_out() -> None:
    exact = {"kernels": np.ones(3), "mask_logits": np.array([3.0, -4.0])}
    rounded = {"kernels": np.ones(3), "mask_logits": np.array([3.0, -4.5])}
    assert comparison.relative_error(exact, exact) == 0
    assert comparison.relative_error(exact, rounded) == pytest.approx(0.1)


def test_plot_has_a_bar_for_each_contestant(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source, target = tmp_path / "r.json", tmp_path / "r.svg"
    source.write_text(json.dumps(document()), encoding="utf-8")
    done = run("plot", str(source), str(target))
    assert done.returncode == 0, done.stderr
    texts = ["".join(x.itertext()) for x in ElementTree.parse(target).iter(SVG_TEXT)]
    assert [text for text in texts if text.endswith(" ms")] == ["50.0 ms", "75.0 ms", "200.0 ms"]
    assert {"mobileinst", "ncnn", "torch", "net w128 <1t>", "1.50 x the fastest other"} <= set(texts)
    done = run("plot", str(source), str(target), "--cases", "nosuch")
    assert done.returncode == 1
    assert "no results for ['nosuch']" in done.stderr


def test_bars_are_as_long_as_the_times_are() -> None:
    charts = pytest.importorskip("benchmarks.support.charts", exc_type=ImportError)
    axes = charts.bar_chart(document()["cases"], "foot").axes
    assert [bar.get_width() for bar in axes[0].patches] == [50.0, 75.0, 200.0]


def test_plot_takes_the_cases_whose_labels_hold_the_words() -> None:
    plot = pytest.importorskip("benchmarks.plot", exc_type=ImportError)
    labels = [f"net w{w} {s}x{s} {p} 1t" for w in (1, 2) for s in (512, 640) for p in ("model", "masks")]
    found = {**document(), "cases": [{"label": label, "results": {"a": result(1.0)}} for label in labels]}
    chosen = plot.chosen_cases(found, ["640x640 model", "w2 512x512 masks"])
    assert [case["label"] for case in chosen] == [
        "net w1 640x640 model 1t", "net w2 512x512 masks 1t", "net w2 640x640 model 1t"
    ]  # fmt: skip
    assert plot.chosen_cases(found) == found["cases"]


def test_an_engine_that_fails_or_is_unknown_says_why(tmp_path: Path) -> None:
    case = base.Case("topformer_t", 32, 64, 64, "model", 1)
    files = base.Files(tmp_path / "none.safetensors", tmp_path / "none.onnx")
    process = processes.Process("mobileinst", case, files)
    with pytest.raises(processes.Unavailable, match=r"none\.safetensors"):
        process.ask("load")
    with pytest.raises(ValueError, match="unknown contestant 'nosuch'"):
        contestants.make_contestant("nosuch")


def test_what_is_converted_is_kept_only_whole_and_of_the_same_version(tmp_path: Path) -> None:
    target, made = tmp_path / "net.mnn", []

    def make() -> None:
        made.append(1)
        target.write_text("half", encoding="utf-8")
        if len(made) == 1:
            raise KeyboardInterrupt
        target.write_text("whole", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        base.make_once(target, "tool 1", make)
    assert target.read_text(encoding="utf-8") == "half"
    for version, count in (("tool 1", 2), ("tool 1", 2), ("tool 2", 3), ("tool 2", 3)):
        base.make_once(target, version, make)
        assert (target.read_text(encoding="utf-8"), len(made)) == ("whole", count)
    with pytest.raises(RuntimeError, match=r"tool 3 wrote no net\.mnn"):
        base.make_once(target, "tool 3", lambda: None)


def test_networks_are_kept_by_the_content_of_weights_and_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="random weights are made with PyTorch")
    calls: list[str] = []

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

    def __init__(self, name: str, fails: int) -> None:
        self.name, self.left, self.ended = name, fails, False

    def ask(self, action: str, **values: Any) -> dict[str, Any]:
        self.left -= 1
        if self.left == 0:
            raise processes.Unavailable(f"{action} failed: its process ended with -11")
        repeats = values.get("repeats", 0)
        return {"peak_mib": 1.0} if action == "quit" else {"ms": [2.0] * repeats, "cpu_ms": [1.0] * repeats}

    def close(self) -> None:
        self.ended = True


def test_who_dies_while_being_timed_is_skipped_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = {"mobileinst": 99, "first": 1, "later": 3, "last": 5}
    answering = [Answers(name, n) for name, n in fails.items()]
    facts: dict[str, dict[str, Any]] = {name: {"version": "1"} for name in fails}
    monkeypatch.setattr(comparison, "start", lambda *arguments: (answering, facts, {"gone": "not installed"}))
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
    assert all(process.ended for process in answering)


def test_a_process_that_dies_within_its_answer_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "worker.py"
    script.write_text("""input(); print('{"ms": [1.', end="", flush=True)""", encoding="utf-8")
    monkeypatch.setattr(processes, "_WORKER", [sys.executable, str(script)])
    files = base.Files(tmp_path, tmp_path)
    process = processes.Process("ncnn", base.Case("topformer_t", 32, 64, 64, "model", 1), files)
    with pytest.raises(processes.Unavailable, match="run failed: its process ended within its answer"):
        process.ask("run", repeats=1)


def test_a_comparison_without_us_ends_with_a_message() -> None:
    cases = document()["cases"]
    peers.check_ours(cases)
    dead = {"label": "b", "results": {"ncnn": result(1.0)}, "skipped": {"mobileinst": "run failed"}}
    with pytest.raises(SystemExit, match="mobileinst did not run in b: run failed"):
        peers.check_ours([*cases, dead])
    with pytest.raises(SystemExit, match="took no part"):
        peers.check_ours([{**dead, "skipped": {}}])


@pytest.mark.slow
@pytest.mark.parametrize("script", ["peers", "frame"])
def test_whole_comparison_in_small(script: str, tmp_path: Path) -> None:
    for module in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    names = ["mobileinst", "onnxruntime", "ncnn"]
    alone = script == "frame" and importlib.util.find_spec("cv2") is None
    output, table = tmp_path / "out.json", tmp_path / "out.md"
    arguments = ["--quick", "--contestants", *names, "--folder", str(tmp_path / "work")]
    done = run(script, *arguments, "--output", str(output), "--table", str(table))
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text(encoding="utf-8"))
    case = written["cases"][0]
    assert all("mobileinst" in x["results"] for x in written["cases"])
    if script == "peers":
        assert [x["case"]["part"] for x in written["cases"]] == ["model", "masks", "features", "backbone"]
    if script == "frame":
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
