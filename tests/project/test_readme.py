"""What the README shows works: Python, commands, the table of defaults. Its times are the results'."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst import Segmenter, Tracker, available_weights, cli
from mobileinst.video import sources
from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

needs_default_weights = pytest.mark.skipif("default" not in available_weights(), reason="no default weights")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README names: a photograph, a folder of them, and a video."""
    data = pytest.importorskip("skimage.data")
    image = pytest.importorskip("PIL.Image")
    av = pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("readme")
    photo = np.ascontiguousarray(data.astronaut()[:256, :320])
    (folder / "frames").mkdir()
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "yuv420p"
        for number in range(4):
            frame = np.roll(photo, 4 * number, 1)
            image.fromarray(frame).save(folder / "frames" / f"{number}.png")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    image.fromarray(photo).save(folder / "photo.jpg")
    return folder


@needs_default_weights
def test_python(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    blocks = _blocks("python")
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["masks"], np.ndarray)


#: In the order of the text, since some read what others wrote.
COMMANDS = list(
    dict.fromkeys(
        line for block in _blocks("sh") for line in block.splitlines() if line[:11] == "mobileinst "
    )
)


@needs_default_weights
@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    # Instead of a camera: the folder of images, which the newest frame is taken of as well.
    monkeypatch.setattr(sources, "CameraSource", lambda *_, **__: sources.FolderSource(files / "frames"))
    words = shlex.split(command.replace("--preview 8000", "--preview 0"), comments=True)
    assert cli.main(words[1:]) in (0, None)


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 4


def _results(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def test_speeds_are_those_of_the_results() -> None:
    columns = ["mobileinst", "mnn", "onnxruntime", "ncnn", "openvino", "litert", "torch-compiled"]
    cases = {case["label"]: case for case in _results("peers.json")["cases"]}
    rows = re.findall(r"^\| width (\d+), (\d) threads? \| (.*) \|$", README, re.MULTILINE)
    assert len(rows) == 4
    for width, threads, cells in rows:
        case = cases[f"topformer_b w{width} 640x640 model {threads}t"]
        expected = [f"{case['results'][name]['median_ms']:.1f}" for name in columns]
        assert cells.split(" | ") == [*expected, f"{case['ratio']:.2f}"]


@pytest.mark.parametrize("name", ["ncnn", "ONNX Runtime"])
def test_instructions_are_those_of_the_results(name: str) -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {name} \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert row
    core = next(core for core in _results("arm.json")["cores"] if core["cpu"] == "cortex-a72")
    found = core["results"][f"{name.lower().replace(' ', '')} fp32"]
    assert [int(x) for x in row.groups()] == [
        round(found[key] / 1e6) for key in ("instructions", "multiply_adds")
    ]


@pytest.mark.parametrize(
    ("callable_", "name"),
    [
        (Segmenter.track, "keyframe_every"),
        (Segmenter, "duplicate_iou"),
        *((Tracker, name) for name in Tracker().options),
    ],
)
def test_default_in_table(callable_: object, name: str) -> None:
    row = re.search(rf"^\| `\w+\({name}=\)` \| ([\d.]+)", README, re.MULTILINE)
    assert row
    assert callable(callable_)
    assert float(row[1]) == inspect.signature(callable_).parameters[name].default
