"""Counting instructions under emulation: what the plugin's marks say, and the table."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.arm import count, count_layers, emulation, run_network
from benchmarks.contestants.base import Case, Files
from benchmarks.shapes import LayerShape


def test_each_two_marks_are_a_run(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    assert emulation.read_counts(path) == []
    path.write_text(
        "clock 4 1\nmark 5 1\nmark 100 20\nmark 350 90\nmark 360 91\nend 999 95\n", encoding="utf-8"
    )
    first, second = emulation.read_counts(path)
    assert first == {"instructions": 95, "multiply_adds": 19}
    assert second == {"instructions": 10, "multiply_adds": 1}
    path.write_text("mark 5 1\nend 999 95\n", encoding="utf-8")
    assert emulation.read_counts(path) == []


def test_every_engine_runs_in_its_own_precisions() -> None:
    names, precisions = ["mobileinst", "onnxruntime", "ncnn", "mnn"], ["fp32", "fp16", "int8"]
    assert count.entries(names, precisions, "cortex-a76") == {
        "mobileinst": ["fp32", "fp16", "int8"],
        "onnxruntime": ["fp32", "int8"],
        "ncnn": ["fp32", "fp16"],
        "mnn": ["fp32", "fp16", "int8"],
    }
    assert count.entries(["ncnn"], precisions, "cortex-a72") == {"ncnn": ["fp32"]}


class Odd:
    """A contestant that can't be loaded in fp16 and fails in its second run in int8."""

    def load(self, files: Files, case: Case) -> None:
        if case.precision == "fp16":
            raise ValueError("no halves")
        self.runs = 0 if case.precision == "int8" else -9

    def run(self, image: Any) -> dict[str, Any]:
        self.runs += 1
        if self.runs > 1:
            raise RuntimeError("worn out")
        return {"x": image}


def test_a_precision_that_fails_leaves_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two marks for each, so that those of the next one are told apart."""
    made: list[int] = []
    monkeypatch.setattr(run_network, "_made", 0)
    monkeypatch.setattr(run_network, "make_contestant", lambda name: Odd())
    monkeypatch.setattr("os.close", made.append)
    cases = [Case("b", 8, 4, 4, "masks", 1, precision) for precision in ("fp16", "int8", "fp32")]
    text = json.dumps([asdict(case) for case in cases])
    monkeypatch.setattr(sys, "argv", ["run_network", "odd", text, "w", "o", str(tmp_path)])
    run_network.main()
    assert made == [run_network.MARK] * 6
    assert (tmp_path / "fp16.txt").read_text() == "ValueError: no halves"
    assert (tmp_path / "int8.txt").read_text() == "RuntimeError: worn out"
    assert np.load(tmp_path / "fp32.npz")["x"].shape == (3, 4, 4)


def test_what_failed_is_told_beside_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        ({"instructions": 5, "multiply_adds": 1}, {"x": np.ones(3)}),
        "its wheel is broken",
        ({"instructions": 4, "multiply_adds": 1}, {"x": np.full(3, 1.5)}),
        ({"instructions": 3, "multiply_adds": 1}, {"x": np.full(3, 0.5)}),
    ]
    monkeypatch.setattr(count, "install_peer", lambda folder, name: folder)
    monkeypatch.setattr(count, "count_runs", lambda *_: (found.pop(0) for _ in range(2)))
    monkeypatch.setattr(count, "make_contestant", lambda name: SimpleNamespace(convert=lambda *_: None))
    case, files = Case("b", 8, 4, 4, "masks", 1), Files(tmp_path, tmp_path)
    wanted = {"mobileinst": ["fp32", "bf16"], "ncnn": ["fp32", "fp16"]}
    told = dict(count.measure(tmp_path, wanted, "cortex-a76", case, files))
    assert told["mobileinst bf16"] == "its wheel is broken"
    assert told["ncnn fp32"] == "its outputs differ by 5.0e-01"
    assert isinstance(told["ncnn fp16"], dict)
    assert told["ncnn fp16"]["difference"] == pytest.approx(0.5)


def test_ratios_are_to_the_best_other_of_the_precision_and_of_all() -> None:
    def counts(millions: int) -> dict[str, Any]:
        return {"instructions": millions * 10**6, "multiply_adds": 10**6, "difference": 0.0}

    results = {
        "mobileinst fp32": counts(200),
        "ncnn fp32": counts(250),
        "ncnn fp16": counts(100),
        "mobileinst fp16": counts(90),
    }
    cores = [
        {"cpu": "cortex-a76", "label": "b", "results": results, "skipped": {"mnn fp16": "no wheel"}},
        {"cpu": "cortex-a72", "label": "v2", "results": {"mobileinst fp32": counts(300)}, "skipped": {}},
    ]
    versions = {"ncnn": "1.0", "mnn": "3.6"}
    text = count.format_report({"date": "today", "commit": "abc", "versions": versions, "cores": cores})
    assert "commit abc; ncnn 1.0, mnn 3.6" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## b", "## v2"]
    rows = {line.split(" | ")[0].lstrip("| "): line.split(" | ")[-2:] for line in text.splitlines()}
    assert rows["cortex-a76, mobileinst fp32"] == ["0.80", "2.00 |"]
    assert rows["cortex-a76, mobileinst fp16"] == ["0.90", "0.90 |"]
    assert rows["cortex-a76, ncnn fp32"] == ["-", "- |"]
    assert rows["cortex-a72, mobileinst fp32"] == ["-", "- |"]
    assert "Skipped: mnn fp16 on cortex-a76 (no wheel)." in text


def test_a_precision_that_an_engine_lacks_is_refused() -> None:
    case = Case("topformer_t", 32, 64, 64, "model", 1, "int8")
    with pytest.raises(ValueError, match="expected precision fp32 or fp16, got int8"):
        case.expect_precision("fp32", "fp16")
    assert case.label.endswith(" 1t int8")


def test_instructions_of_layers_are_what_lies_between_two_readings_of_the_clock() -> None:
    shapes = [LayerShape("gemm", (1, 2, 3), 2, "a"), LayerShape("conv3x3", (4, 4, 1, 1), 1, "b")]
    lines = ["clock 3 0"]
    at = 10
    for length in (5_000_000, 7_000_000, 6_000_000, None, 3_000_000, 9_000_000):
        lines.append(f"mark {at} 0")
        if length is not None:
            lines += [f"clock {at + 1} 0", f"clock {at + 1 + length} 0"]
            at += length + 2
        lines += [f"mark {at} 0", f"clock {at + 1} 0"]
        at += 5
    lines.append(f"end {at} 0")
    counts = count_layers.read_counts("\n".join(lines), shapes)
    assert counts == [
        {"int8": 5_000_000, "fp16": 7_000_000, "xnnpack int8": 6_000_000},
        {"fp16": 3_000_000, "xnnpack int8": 9_000_000},
    ]
    table = count_layers.format_table(shapes, counts)
    assert "| gemm 1 2 3 | 2 | 5.00 | 7.00 | 6.00 | 1.20 |" in table
    assert "| conv3x3 4 4 1 1 | 1 | - | 3.00 | 9.00 | 3.00 |" in table
    assert "the fewer, 13.0; XNNPACK 21.0; each by the fewest 13.0" in table
    with pytest.raises(RuntimeError, match="expected counts of 1 layers"):
        count_layers.read_counts("\n".join(lines), shapes[:1])


def test_layers_of_few_multiply_adds_are_not_counted() -> None:
    found = count_layers.counted_shapes("topformer_t-w16-128")
    assert found
    assert all(shape.macs >= 2_000_000 for shape in found)
