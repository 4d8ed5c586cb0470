"""The page about a tracked video: what it says, that it needs nothing else, and that browsers show it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from mobileinst.cli import main
from mobileinst.export import frame_record
from mobileinst.io.png import write_png
from mobileinst.report import write_report
from mobileinst.report.charts import timeline
from mobileinst.report.page import clock
from mobileinst.report.records import read_video_record
from mobileinst.report.write import read_stages
from mobileinst.results import Instances, encode
from mobileinst.video.writer import VideoWriter

pytest.importorskip("PIL")

SIZE = (60, 90)
FRAMES = 10


def found(number: int) -> Instances:
    """Track 1 in all frames, growing; track 2, whose name needs escaping, in frames 2, 3 and 6."""
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, 10 : 20 + number, 5:25] = True
    masks[1, 30:50, 50:80] = True
    both = Instances(SIZE, encode(masks), [0.5 + number / 100, 0.9], [0, 1], ["person", "<b>&"], [1, 2])
    return both if number in (2, 3, 6) else both[:1]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "frames").mkdir()
    for number in range(FRAMES):
        write_png(folder / "frames" / f"{number}.png", np.full((*SIZE, 3), 20 * number, np.uint8))
    lines = [json.dumps(frame_record(number, number / 5, found(number))) for number in range(FRAMES)]
    (folder / "out.jsonl").write_text("\n".join(lines) + "\n")
    stages = {"read": 1.0, "segment": 3.0}
    write_report(folder / "out.jsonl", folder / "frames", folder / "report.html", stages=stages, frames=4)
    return folder


def test_records_are_gathered_by_track(material: Path) -> None:
    video = read_video_record(material / "out.jsonl")
    assert (video.size, len(video.times), video.seconds) == (SIZE, FRAMES, pytest.approx(1.8))
    assert video.classes == ["person", "<b>&"]
    one, two = video.tracks[1], video.tracks[2]
    assert (one.label, one.frames, one.best) == ("person", list(range(FRAMES)), 9)
    assert (two.frames, two.mean_score) == ([2, 3, 6], pytest.approx(0.9))
    assert two.areas[0] == pytest.approx(600 / 5400)


def test_the_page_says_what_was_found_and_needs_nothing_else(material: Path) -> None:
    text = (material / "report.html").read_text(encoding="utf-8")
    assert f"{FRAMES} frames of 90x60 · 0:01.8 · 2 tracks" in text
    assert len(re.findall(r'<button type="button" data-frame="', text)) == 4
    assert text.count('<article class="track"') == 2
    assert "#2 &lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert re.search(r"<td>segment</td><td>300\.0 ms</td><td>3\.00 s</td>", text)
    assert set(re.findall(r'(?:src|href)="(.{5})', text)) == {"data:"}
    assert "url(" not in text
    assert "@import" not in text


def test_timelines_have_a_bar_for_each_stretch(material: Path) -> None:
    video = read_video_record(material / "out.jsonl")
    bars = re.findall(r'<rect x="([\d.]+)" y="72" width="([\d.]+)"', timeline(video, video.tracks[2]))
    assert [(float(x), float(width)) for x, width in bars] == [(200, 200), (600, 100)]


def test_a_shorter_video_leaves_frames_out(material: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(3):
        shutil.copy(material / "frames" / f"{number}.png", tmp_path / "frames")
    write_report(material / "out.jsonl", tmp_path / "frames", tmp_path / "report.html", frames=10)
    assert (tmp_path / "report.html").read_text().count('data-frame="') == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found none"),
        ("x\n", "line 1: not a frame"),
        ("[]\n", "expected an object"),
        ('{"width": 1, "height": 1, "instances": []}\n', "line 1: expected a frame with its time"),
        *(
            (
                f'{{"time": {time}, "width": 1, "height": 1, "instances": []}}\n',
                "line 1: expected a frame with its time",
            )
            for time in ("NaN", "Infinity", "-1", "1e300", "null", "true", '"0"', "[0]")
        ),
        ('{"time": 0, "width": 1, "height": 1, "instances": [{}]}\n', "instance 0: it has no 'rle'"),
    ],
)
def test_other_files_are_refused(text: str, message: str, material: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "bad.jsonl", material / "frames", tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_another_video_is_refused(material: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "0.png", np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="its frames are"):
        write_report(material / "out.jsonl", tmp_path, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]


@pytest.mark.parametrize("output", ["out.jsonl", "link.jsonl", "hard.jsonl", "times.json", "frames/3.png"])
def test_it_never_takes_the_place_of_what_it_reads(output: str, material: Path, tmp_path: Path) -> None:
    shutil.copytree(material / "frames", tmp_path / "frames")
    shutil.copy(material / "out.jsonl", tmp_path)
    (tmp_path / "times.json").write_text('{"seconds": {"read": 1}}')
    (tmp_path / "link.jsonl").symlink_to("out.jsonl")
    (tmp_path / "hard.jsonl").hardlink_to(tmp_path / "out.jsonl")
    before = (tmp_path / output).read_bytes()
    arguments = ["report", str(tmp_path / "out.jsonl"), "--video", f"file://{tmp_path / 'frames'}"]
    arguments += ["--timings", str(tmp_path / "times.json"), "--output", str(tmp_path / output)]
    assert main(arguments) == 2
    assert (tmp_path / output).read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_lines_and_video_may_be_pipes(material: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "x.mkv", 5) as writer:
        for number in range(FRAMES):
            writer.write(np.full((*SIZE, 3), 20 * number, np.uint8))
    write_report(material / "out.jsonl", tmp_path / "x.mkv", tmp_path / "expected.html")
    for name, content in (("lines", material / "out.jsonl"), ("x", tmp_path / "x.mkv")):
        os.mkfifo(tmp_path / name)
        data = content.read_bytes()
        threading.Thread(target=(tmp_path / name).write_bytes, args=(data,), daemon=True).start()
    write_report(tmp_path / "lines", tmp_path / "x", tmp_path / "report.html")
    said, expected = ((tmp_path / f"{name}.html").read_text() for name in ("report", "expected"))
    assert said.replace("x.mkv", "x") == expected.replace("x.mkv", "x")


def test_nothing_found_is_a_page_too(material: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text(json.dumps(frame_record(0, 0.0, Instances.empty(SIZE))))
    write_report(tmp_path / "out.jsonl", material / "frames", tmp_path / "report.html")
    assert "Nothing was found" in (tmp_path / "report.html").read_text()


def test_timings_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"frames": 3, "seconds": {"read": 1}}')
    assert read_stages(tmp_path / "t.json") == {"read": 1.0}
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(ValueError, match="expected timings"):
        read_stages(tmp_path / "t.json")


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.96, 3599.99)] == ["0:00.0", "1:00.0", "1:00:00.0"]


def browse(page: str, tmp_path: Path) -> str:
    """The document that headless Chromium makes of a page."""
    names = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
    chromium = next((name for name in names if shutil.which(name)), None)
    if chromium is None:
        pytest.skip("no Chromium")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *options, "--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path}/page.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_keys_and_clicks_choose_the_frame(material: Path, tmp_path: Path) -> None:
    page = (material / "report.html").read_text(encoding="utf-8")
    script = """<script>
      const said = [caption.textContent];
      const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
      for (const key of ["ArrowRight", "End", "ArrowLeft", "Home"]) {
        press(key);
        said.push(caption.textContent);
      }
      const line = document.querySelector("svg.line"), box = line.getBoundingClientRect();
      line.dispatchEvent(new MouseEvent("click", {clientX: box.left + 0.65 * box.width}));
      said.push(caption.textContent, large.naturalWidth);
      document.title = JSON.stringify(said);
    </script>"""
    seen = browse(page.replace("</body>", script + "</body>"), tmp_path)
    said = json.loads(html.unescape(re.search(r"<title>(.*)</title>", seen)[1]))  # type: ignore[index]
    assert [re.search(r"frame (\d+)", text)[1] for text in said[:-1]] == ["0", "3", "9", "6", "0", "6"]  # type: ignore[index]


def test_a_phone_shows_it_without_scrolling_sideways(material: Path, tmp_path: Path) -> None:
    page = html.escape((material / "report.html").read_text(encoding="utf-8"))
    host = f"""<!doctype html><title></title><iframe width="360" srcdoc="{page}"></iframe><script>
      document.querySelector("iframe").onload = (event) => {{
        const root = event.target.contentDocument.documentElement;
        document.title = [root.clientWidth, root.scrollWidth].join();
      }};</script>"""
    seen = browse(host, tmp_path)
    width, scrolled = map(int, re.search(r"<title>(\d+),(\d+)</title>", seen).groups())  # type: ignore[union-attr]
    assert 300 < width <= 360
    assert scrolled <= width
