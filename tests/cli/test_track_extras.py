"""Counting, timings, reports and live sources on the command line."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mobileinst import cli
from tests.support.batch_data import write_pictures, write_weights

pytest.importorskip("PIL")

FRAMES = 6


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    write_weights(folder / "tiny.safetensors")
    write_pictures(folder / "frames", FRAMES)
    return folder


def run(material: Path, *arguments: Any) -> int:
    model = ["--weights", str(material / "tiny.safetensors")]
    return cli.main(["track", str(material / "frames"), *model, *map(str, arguments)])


def test_counts_timings_and_a_report(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--count-line", "door:0,50%,100%,50%", "--zone", "0,0,66,0,66,50,0,50", "--counts", "c.json")
    drawing = ("--picture", "p.png", "--legend", "--trails", 5)
    assert run(material, *options, *drawing, "--json", "o.jsonl", "--timings", "t.json", "--fps", 5) == 0
    said = capsys.readouterr().out
    assert "door: " in said
    assert "zone: " in said
    counts = json.loads(Path("c.json").read_text())
    assert [line["name"] for line in counts["lines"]] == ["door"]
    tracks = {
        i["id"] for line in Path("o.jsonl").read_text().splitlines() for i in json.loads(line)["instances"]
    }
    assert tracks
    assert {visit["id"] for visit in counts["zones"][0]["visits"]} == tracks
    timings = json.loads(Path("t.json").read_text())
    assert timings["frames"] == FRAMES
    assert set(timings["seconds"]) == {"read", "segment and track", "draw", "write"}
    arguments = ["report", "o.jsonl", "--video", str(material / "frames"), "--timings", "t.json"]
    assert cli.main(arguments) == 0
    page = Path("o.html").read_text(encoding="utf-8")
    assert "<td>segment and track</td>" in page
    assert page.count('<article class="track"') == len(tracks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--counts", "c.json"), "needs a --count-line"),
        (("--count-line", "1,2,3"), "expected a line"),
        (("--zone", "1,2,3,4"), "3 corners"),
        (("--zone", "0,0,9,0,9,9", "--counts", "c.txt"), r".csv or .json"),
        (("--preview", "99999"), "port 99999"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: tuple[str, ...],
    message: str,
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(material, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_a_report_replaces_nothing_that_it_reads(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "o.jsonl"
    lines.write_text("precious")
    assert cli.main(["report", str(lines), "--video", str(material / "frames"), "-o", str(lines)]) == 2
    assert "can't be an output too" in capsys.readouterr().err
    assert lines.read_text() == "precious"


def test_live_with_a_preview(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mobileinst.video import preview

    seen: list[tuple[bytes, dict[str, Any]]] = []
    show = preview.Preview.show

    def look(self: preview.Preview, *arguments: Any) -> None:
        show(self, *arguments)
        if not seen:
            picture = urllib.request.urlopen(f"{self.address}frame.jpg", timeout=30).read()
            status = json.loads(urllib.request.urlopen(f"{self.address}status.json", timeout=30).read())
            seen.append((picture, status))

    monkeypatch.setattr(preview.Preview, "show", look)
    monkeypatch.chdir(tmp_path)
    assert run(material, "--live", "--preview", 0, "--fps", 100) == 0
    output = capsys.readouterr()
    assert "preview at http://127.0.0.1:" in output.err
    picture, status = seen[0]
    assert picture.startswith(b"\xff\xd8")
    assert status["frames"] == 1
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "mobileinst-camera"]
