"""The documentation's pages: their code runs, their commands run, and what they quote exists."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mobileinst import available_weights, cli
from mobileinst.video import Frame, FrameSource
from tests.support import ROOT

DOCS = ROOT / "docs"
PAGES = ("index.md", "camera.md", "folder.md", "own-data.md")

needs_default_weights = pytest.mark.skipif("default" not in available_weights(), reason="no default weights")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class FakeCamera(FrameSource):
    """Three frames instead of a camera."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.name = "camera"

    def __iter__(self) -> Iterator[Frame]:
        for number in range(3):
            yield Frame(np.full((48, 64, 3), 60 * number, np.uint8), number / 30, f"frame {number}")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages name; cameras are fake."""
    data = pytest.importorskip("skimage.data")
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("av")
    from mobileinst.video import VideoWriter, cameras, sources

    photo = np.ascontiguousarray(data.astronaut()[:192, :256])
    image.fromarray(photo).save(tmp_path / "photo.jpg")
    (tmp_path / "frames").mkdir()
    with VideoWriter(tmp_path / "video.mp4", 10) as writer:
        for number in range(3):
            frame = np.roll(photo, 4 * number, 1)
            writer.write(frame)
            image.fromarray(frame).save(tmp_path / "frames" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "CameraSource", FakeCamera)
    monkeypatch.setattr(cameras, "Picamera2Source", FakeCamera)
    monkeypatch.setattr(cameras, "RpicamSource", FakeCamera)
    return tmp_path


@needs_default_weights
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("page", PAGES)
def test_python(page: str) -> None:
    names: dict[str, object] = {}
    found = blocks(page, "python")
    assert found
    for block in found:
        exec(compile(block, page, "exec"), names)


@needs_default_weights
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("page", PAGES)
def test_commands(page: str) -> None:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert lines
    for line in lines:
        if "ffmpeg:" in line and shutil.which("ffmpeg") is None:
            continue
        words = shlex.split(line.replace("--preview 8000", "--preview 0"))
        assert words[0] == "mobileinst"
        assert cli.main(words[1:]) == 0, line


@needs_default_weights
def test_evaluation(files: Path) -> None:
    """Its commands measure a model on one image of which everything is known to be right: its own results."""
    pytest.importorskip("pycocotools")
    from mobileinst import Segmenter
    from mobileinst.export import coco_results
    from mobileinst.video import read_image

    image = read_image(files / "frames" / "0.png")
    (files / "images").mkdir()
    shutil.copy(files / "frames" / "0.png", files / "images")
    seg = Segmenter()
    found = seg.segment(image)
    results = coco_results(found, 1)
    height, width = found.size
    truth = {
        "images": [{"id": 1, "file_name": "0.png", "height": height, "width": width}],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(seg.classes)],
        "annotations": [
            {**entry, "id": i + 1, "iscrowd": 0, "area": int(found.areas[i])}
            for i, entry in enumerate(results)
        ],
    }
    (files / "instances.json").write_text(json.dumps(truth))
    (files / "gt.json").write_text(json.dumps(truth))
    lines = [line for block in blocks("evaluation.md", "sh") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        if "ytvis" not in line:  # Annotations of videos have another form.
            assert cli.main(shlex.split(line, comments=True)[1:]) == 0, line
    assert json.loads((files / "results.stats.json").read_text())["AP"] == pytest.approx(1)


def test_every_page_is_in_the_menu_once() -> None:
    menu = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(menu) == sorted(page.name for page in DOCS.glob("*.md"))


def test_what_the_reference_describes_is_there() -> None:
    """mkdocs would fail on a name that has moved, but only where it is installed."""
    names = re.findall(r"^::: ([\w.]+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 15
    for name in names:
        module, _, attribute = name.rpartition(".")
        described = getattr(importlib.import_module(module), attribute)
        assert described.__module__ == module, name
        assert described.__doc__, name


def test_every_message_that_is_explained_exists() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) > 8
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mobileinst").rglob("*.py")))
    code = re.sub(r"\{[^{}]*\}", "*", code)
    for message in messages:
        pattern = re.sub(r"/dev/video0|rpicam-vid", "*", message)
        assert pattern in code or message in code, message
