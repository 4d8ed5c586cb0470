"""Videos as cameras, phones, editors and recorders write them: the right frames, at the right times."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobileinst.export import FrameResult
from mobileinst.export.annotated import VideoSink
from mobileinst.results import Instances
from mobileinst.video import NewestFrames, VideoError, VideoWriter, open_source, read_image
from mobileinst.video.streams import metadata_options
from tests.support.video_files import (
    SIZE,
    bar_of,
    bars,
    with_cover_first,
    with_edits,
    with_matrix,
    write_bars,
)

av = pytest.importorskip("av")
image_module = pytest.importorskip("PIL.Image")

_ONE, _UNIT = 1 << 16, 1 << 30
#: Display matrices: turned by a quarter clockwise, and mirrored at the diagonal.
_TURNED = (0, _ONE, 0, -_ONE, 0, 0, 48 * _ONE, 0, _UNIT)
_DIAGONAL = (0, _ONE, 0, _ONE, 0, 0, 0, 0, _UNIT)
_MIRRORED = (-_ONE, 0, 0, 0, _ONE, 0, 64 * _ONE, 0, _UNIT)


def seen(path: Path) -> list[tuple[int, float]]:
    """Number of the picture and time of each frame."""
    return [(bar_of(frame.image), round(frame.time, 3)) for frame in open_source(path)]


def test_a_cover_picture_in_front_of_the_video(tmp_path: Path) -> None:
    cover = io.BytesIO()
    image_module.new("RGB", (32, 32), (200, 0, 0)).save(cover, "JPEG")
    data = with_cover_first(write_bars(tmp_path / "x.mp4"), cover.getvalue())
    (tmp_path / "x.mp4").write_bytes(data)
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["mjpeg", "h264"]
    source = open_source(tmp_path / "x.mp4")
    assert source.rate == 10
    assert {type(source.rate), type(source.pixel_aspect)} == {Fraction}
    assert seen(tmp_path / "x.mp4") == [(i, i / 10) for i in range(6)]


# Key frames only; one key frame; frames that are stored in another order than shown.
@pytest.mark.parametrize("coding", [{"g": "1"}, {"g": "50", "bf": "0"}, {"g": "50", "bf": "2"}])
@pytest.mark.parametrize(
    ("edits", "pictures"),
    [
        ([(0.3, 0.2)], [2, 3, 4]),
        ([(1.0, None), (0.6, 0.0)], [0, 1, 2, 3, 4, 5]),
        ([(0.2, 0.4), (0.2, 0.0)], [4, 5, 0, 1]),
    ],
)
def test_edit_lists(
    tmp_path: Path, coding: dict[str, str], edits: list[tuple[float, float | None]], pictures: list[int]
) -> None:
    data = write_bars(tmp_path / "x.mp4", **coding)
    (tmp_path / "x.mp4").write_bytes(with_edits(data, edits))
    assert seen(tmp_path / "x.mp4") == [(picture, i / 10) for i, picture in enumerate(pictures)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mkv", "libx264"),
        ("x.mp4", "libx264"),
        ("x.webm", "libvpx"),
        ("x.avi", "mjpeg"),
        ("x.mov", "mjpeg"),
    ],
)
def test_a_last_frame_that_is_held_long(tmp_path: Path, name: str, codec: str) -> None:
    write_bars(tmp_path / name, codec, hold=3)
    assert seen(tmp_path / name) == [(i, i / 10) for i in range(6)]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("x.avi", "libx264", {"bf": "3"}),
        ("x.avi", "mpeg4", {"bf": "2", "qscale": "2"}),
        ("x.ts", "libx264", {"bf": "3"}),
        ("x.h264", "libx264", {"bf": "3"}),
    ],
)
def test_frames_that_are_stored_in_another_order(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    write_bars(tmp_path / name, codec, count=16, rate=25, **options)
    found = seen(tmp_path / name)
    assert [picture for picture, _ in found] == [i % 8 for i in range(16)]
    times = [time for _, time in found]
    assert times[0] == 0
    assert np.diff(times) == pytest.approx(0.04, abs=1e-3)


def test_joined_recordings_whose_times_start_again(tmp_path: Path) -> None:
    data = write_bars(tmp_path / "x.ts", "mpeg2video", count=24, rate=25, bf="0")
    (tmp_path / "x.ts").write_bytes(data * 3)
    found = seen(tmp_path / "x.ts")
    assert [picture for picture, _ in found] == [i % 8 for i in range(72)]
    assert np.diff([time for _, time in found]) == pytest.approx(0.04, abs=1e-3)


@pytest.mark.parametrize(("matrix", "turned"), [(_TURNED, True), (_DIAGONAL, True), (_MIRRORED, False)])
def test_pixels_turn_with_the_picture(tmp_path: Path, matrix: tuple[int, ...], turned: bool) -> None:
    with VideoWriter(tmp_path / "x.mp4", 10, pixel_aspect=Fraction(4, 3)) as writer:
        for picture in bars(3):
            writer.write(picture)
    (tmp_path / "x.mp4").write_bytes(with_matrix((tmp_path / "x.mp4").read_bytes(), matrix))
    aspect = Fraction(3, 4) if turned else Fraction(4, 3)
    os.mkfifo(tmp_path / "pipe")
    feed = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "x.mp4").read_bytes()), daemon=True
    )
    feed.start()
    for name, source in (
        ("file", open_source(tmp_path / "x.mp4")),
        ("live", NewestFrames(open_source(tmp_path / "x.mp4"))),
        ("pipe", open_source(tmp_path / "pipe")),
    ):
        if name != "pipe":
            assert source.pixel_aspect == aspect
        sink = VideoSink.open(str(tmp_path / f"{name}.mp4"), source)
        for number, frame in enumerate(source):
            assert frame.image.shape[:2] == (SIZE[::-1] if turned else SIZE)
            nothing = Instances(frame.image.shape[:2], [], [], [], [], [])
            sink.write(FrameResult(number, frame.time, nothing, None, frame.image))
        assert source.pixel_aspect == aspect
        sink.finish()
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert container.streams.video[0].codec_context.sample_aspect_ratio == aspect


def test_metadata_outside_of_utf8(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for picture in bars(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    content = (tmp_path / "x.mkv").read_bytes()
    assert content.count(b"TITLE") == 1
    (tmp_path / "x.mkv").write_bytes(content.replace(b"TITLE", b"caf\xe9\xff"))
    assert [picture for picture, _ in seen(tmp_path / "x.mkv")] == [0, 1, 2]


@pytest.mark.parametrize("version", ["15.0.0", "18.1.0", "19.0.2", "20.0.0rc1", "101.0"])
def test_options_that_every_pyav_takes(version: str) -> None:
    assert bool(metadata_options(version)) == version.startswith(("15", "18"))


def test_a_picture_with_a_side_that_no_frame_has(tmp_path: Path) -> None:
    image_module.new("L", (70_000, 2)).save(tmp_path / "x.png")
    with pytest.raises(VideoError, match=r"x\.png: expected sides of at most 65535 pixels, got 70000x2"):
        open_source(tmp_path / "x.png")
    with pytest.raises(VideoError, match="got 70000x2"):
        read_image(tmp_path / "x.png")


def test_live_reads_the_files_of_its_source(tmp_path: Path) -> None:
    for number in range(2):
        image_module.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    assert NewestFrames(open_source(tmp_path)).files() == [str(tmp_path / f"{i}.png") for i in range(2)]


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_standard_input(tmp_path: Path, same_packages: None, name: str, kind: str, suffix: str) -> None:
    write_bars(tmp_path / f"x.{suffix}", "mpeg2video" if suffix == "ts" else "libx264")
    (tmp_path / "run.py").write_text("import sys; from mobileinst.cli import main; sys.exit(main())")
    command = [sys.executable, "run.py", "track", name, "--size", "64", "--json", "-", "-q"]
    with (tmp_path / f"x.{suffix}").open("rb") as file:
        given = {"input": file.read()} if kind == "pipe" else {"stdin": file}
        done = subprocess.run(command, capture_output=True, timeout=120, check=False, **given)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["time"] for line in lines] == pytest.approx(
        [i / 10 for i in range(6)], abs=1e-3 if suffix == "mp4" else 0.07
    )
