"""Which backend computes a layer: what MOBILEINST_BACKEND says, and the measured times behind "auto"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.cli.commands import doctor
from mobileinst.engine import Backend, Graph, NativeOps, Node, Parameters, Program, compile_program
from mobileinst.engine import backend as backends
from mobileinst.network import ModelConfig, features
from tests.support.random_weights import random_tensors

Array = NDArray[np.float32]
needs_xnnpack = pytest.mark.skipif(not _native.has_xnnpack(), reason="this build has no XNNPACK")

CONFIG = ModelConfig("topformer_t", width=64)
SIZE = (64, 96)
#: The first layer of that network.
STEM, STEM_NAME = "conv_direct 64 96 3 16 3 2", "backbone.tpm.stem.0.c"


def compiled(backend: Backend | None = None) -> Program:
    """The features of a small network with random weights, planned for a backend."""
    parameters = Parameters(random_tensors(CONFIG), _native.tier(), backend)
    graph = Graph()
    ops = NativeOps(graph, parameters)
    found = features(ops, ops.input("image", *SIZE, 3), CONFIG)
    outputs: dict[str, Node] = {"mask_features": found.mask_features, "x6": found.x6}
    return compile_program(graph, parameters, outputs, _native.ThreadPool(2))


def run(program: Program) -> Array:
    image = np.random.default_rng(5).standard_normal((3, *SIZE), np.float32)
    program.plan.write(program.tensors["image"], image)
    program.plan.run(0)
    return program.read("mask_features")


def by_xnnpack(program: Program) -> set[str]:
    return {node["name"] for node in program.plan.profile() if node["op"].endswith("xnnpack")}


def test_an_unknown_name_is_refused_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEINST_BACKEND", "nosuch")
    with pytest.raises(ValueError, match="expected native, xnnpack or auto, got 'nosuch'"):
        compiled()
    assert not doctor._backend(_native, _native.tier())[0]


def test_xnnpack_is_refused_where_it_is_not_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends._native, "has_xnnpack", lambda: False)
    monkeypatch.setenv("MOBILEINST_BACKEND", "xnnpack")
    with pytest.raises(ValueError, match="not in this build"):
        backends.active_backend("ref")
    assert not doctor._backend(_native, "ref")[0]


def test_auto_is_native_where_xnnpack_is_not_built_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(backends._native, "has_xnnpack", lambda: False)
    monkeypatch.setattr(backends, "times_path", lambda tier: tmp_path / "never-read")
    monkeypatch.setenv("MOBILEINST_BACKEND", "auto")
    assert not backends.active_backend("ref").times
    assert by_xnnpack(compiled()) == set()
    fine, text = doctor._backend(_native, "ref")
    assert fine
    assert "native kernels" in text


def test_native_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("MOBILEINST_BACKEND", raising=False)
        else:
            monkeypatch.setenv("MOBILEINST_BACKEND", value)
        assert backends.active_backend(_native.tier()) == Backend("native")


@needs_xnnpack
def test_auto_reads_the_times_of_its_tier_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(backends, "times_path", lambda tier: tmp_path / f"{tier}.txt")
    monkeypatch.setenv("MOBILEINST_BACKEND", "auto")
    times = {"gemm 6 7 8": (2.0, 1.0), "gemm 1 2 3": (1.0, 2.0)}
    (tmp_path / "ref.txt").write_text(backends.format_layer_times(times, ["a", "b"]), encoding="utf-8")
    assert backends.active_backend("ref") == Backend("auto", times)
    assert backends.active_backend("neon") == Backend("auto", {})
    assert "1 of the 2 layers measured on ref" in doctor._backend(_native, "ref")[1]
    assert "neon was not measured" in doctor._backend(_native, "neon")[1]


@needs_xnnpack
def test_auto_takes_the_faster_of_what_was_measured() -> None:
    everything = by_xnnpack(compiled(Backend("xnnpack")))
    assert STEM_NAME in everything
    assert len(everything) > 5
    assert by_xnnpack(compiled(Backend("native"))) == set()
    assert by_xnnpack(compiled(Backend("auto", {STEM: (2.0, 1.0)}))) == {STEM_NAME}
    assert by_xnnpack(compiled(Backend("auto", {STEM: (1.0, 2.0)}))) == set()
    assert by_xnnpack(compiled(Backend("auto", {STEM: (1.0, 1.0)}))) == set()
    assert by_xnnpack(compiled(Backend("auto"))) == set()


@needs_xnnpack
def test_backends_agree() -> None:
    native = run(compiled(Backend("native")))
    scale = np.abs(native).max()
    for backend in (
        Backend("xnnpack"),
        Backend("auto", {STEM: (2.0, 1.0)}),
    ):
        np.testing.assert_allclose(run(compiled(backend)), native, rtol=0, atol=1e-3 * scale)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((4, 5, 6, 7, 1, 1, 1), "gemm 20 6 7"),
        ((4, 5, 6, 7, 3, 1, 1), "conv3x3 4 5 6 7"),
        ((4, 5, 6, 7, 3, 2, 1), "conv_direct 4 5 6 7 3 2"),
        ((4, 5, 6, 7, 1, 2, 1), "conv_direct 4 5 6 7 1 2"),
        ((4, 5, 6, 6, 5, 2, 6), "depthwise 4 5 6 5 2"),
        ((4, 5, 6, 6, 3, 1, 2), "conv_direct 4 5 6 6 3 1 2"),
        ((4, 5, 6, 12, 3, 1, 6), "conv_direct 4 5 6 12 3 1 6"),
    ],
)
def test_keys_are_those_of_the_shape_files(arguments: tuple[int, ...], expected: str) -> None:
    height, width, inputs, outputs, kernel, stride, groups = arguments
    key = backends.layer_key(height, width, inputs, outputs, kernel_size=kernel, stride=stride, groups=groups)
    assert key == expected


def test_times_are_read_as_written(tmp_path: Path) -> None:
    times = {"gemm 1 2 3": (1.5, 22.0), "depthwise 4 5 6 3 1": (0.1, 0.2)}
    path = tmp_path / "times.txt"
    path.write_text(backends.format_layer_times(times, ["where from"]), encoding="utf-8")
    assert path.read_text(encoding="utf-8").startswith("# where from\n")
    assert backends.read_layer_times(path) == times


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "got no line of it"),
        ("# only a comment\n", "got no line of it"),
        ("mobileinst-layer-times 2\n", ":1: expected 'mobileinst-layer-times 1'"),
        ("mobileinst-layer-times 1\ngemm 1 2 3 fast 2\n", ":2: expected a layer and two times"),
        ("mobileinst-layer-times 1\n\n1.0 2.0\n", ":3: expected a layer and two times"),
        ("mobileinst-layer-times 1\ngemm\n", ":2: expected a layer and two times"),
        ("mobileinst-layer-times 1\ngemm 1 2 3 0 2.0\n", ":2: expected a layer and two times"),
        ("mobileinst-layer-times 1\ngemm 1 2 3 nan 2.0\n", ":2: expected a layer and two times"),
    ],
)
def test_a_broken_file_of_times_is_named(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "times.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=error) as caught:
        backends.read_layer_times(path)
    assert str(path) in str(caught.value)


def test_the_times_of_the_package_are_whole() -> None:
    paths = sorted(backends.times_path("any").parent.glob("*.txt"))
    assert paths
    for path in paths:
        assert path.stem in ("avx2", "avx512", "neon")
        assert len(backends.read_layer_times(path)) > 100
