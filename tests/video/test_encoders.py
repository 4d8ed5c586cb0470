"""Videos written without PyAV, by the program ffmpeg: a fake one, and the real one where there is one."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst.video import VideoError, VideoWriter
from mobileinst.video.pipes import FfmpegSource

pytestmark = pytest.mark.skipif(os.name == "nt", reason="programs as scripts")
real = pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg")


@pytest.fixture
def no_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


def program(folder: Path, code: str, encoders: str = "V....D libx264 x") -> None:
    """An ffmpeg that names its encoders, else does what the code says."""
    start = f"#!{sys.executable}\nimport sys\nif '-encoders' in sys.argv: sys.exit(print({encoders!r}))\n"
    (folder / "ffmpeg").write_text(f"{start}{code}\n")
    (folder / "ffmpeg").chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def picture(value: int, size: tuple[int, int] = (32, 48)) -> NDArray[np.uint8]:
    return np.full((*size, 3), value, np.uint8)


_KEEP = """
content = sys.stdin.buffer.read()
open(sys.argv[-1].removeprefix('file:'), 'wb').write(' '.join(sys.argv[1:]).encode() + b'\\n' + content)
"""


@pytest.mark.usefixtures("no_pyav")
def test_the_program_gets_each_frame_at_its_time(path: Path, tmp_path: Path) -> None:
    program(path, _KEEP)
    times = [
        5.0,
        5.1,
        5.3,
        5.31,
        5.32,
        5.33,
    ]  # at 10 a second: slots 50, 51, 53, 54; the rest comes too early
    with VideoWriter(tmp_path / "x.mkv", 10, quality=30, pixel_aspect=Fraction(4, 3)) as writer:
        for number, time in enumerate(times):
            writer.write(picture(number, (1, 2)), time)
    said, _, content = (tmp_path / "x.mkv").read_bytes().partition(b"\n")
    head = b"P6\n2 2\n255\n"
    assert [part[0] for part in content.split(head)[1:]] == [0, 1, 1, 2, 3]
    assert b" -framerate 10/1 -i pipe:0 " in said
    assert b" -crf 30 " in said
    assert b"setsar=4/3" in said
    assert b" -f matroska " in said
    assert b"movflags" not in said
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("no_pyav")
def test_programs_that_fail_say_why(path: Path, tmp_path: Path) -> None:
    program(path, "sys.exit('Unknown option')")

    def write_much() -> None:
        with VideoWriter(tmp_path / "x.mp4") as writer:
            for _ in range(100):
                writer.write(picture(0, (200, 300)))

    with pytest.raises(VideoError, match=r"x\.mp4: .* ffmpeg stopped: Unknown option"):
        write_much()
    program(path, "", encoders="V....D libvpx x")
    with (
        pytest.raises(VideoError, match=r"no H\.264 encoder \(libx264"),
        VideoWriter(tmp_path / "x.mp4") as writer,
    ):
        writer.write(picture(0))
    (path / "ffmpeg").unlink()
    with pytest.raises(ImportError, match=r'pip install "mobileinst\[video\]".* program ffmpeg'):
        VideoWriter(tmp_path / "x.mp4")
    assert [name.name for name in tmp_path.iterdir()] == ["bin"]


@pytest.mark.usefixtures("no_pyav")
def test_what_is_given_up_leaves_no_file_and_no_program(path: Path, tmp_path: Path) -> None:
    program(path, "open(sys.argv[-1].removeprefix('file:'), 'w').write('begun')\nsys.stdin.buffer.read()")
    writer = VideoWriter(tmp_path / "x.mp4")
    writer.write(picture(0))
    process = writer._encoder._process  # type: ignore[attr-defined]
    writer.discard()
    assert process.poll() is not None
    with VideoWriter(tmp_path / "empty.mp4"):
        pass
    assert [name.name for name in tmp_path.iterdir()] == ["bin"]


@real
@pytest.mark.usefixtures("no_pyav")
@pytest.mark.parametrize("name", ["a b:%.mp4", "x.mkv", "x.mov", "x.m4v"])
def test_videos_can_be_read_again(tmp_path: Path, name: str) -> None:
    with VideoWriter(tmp_path / name, Fraction(30000, 1001)) as writer:
        for value in (40, 120, 200):
            writer.write(picture(value, (31, 47)))
        writer.write(picture(80, (20, 20)))  # scaled to the first
    source = FfmpegSource(f"file:{tmp_path / name}")
    assert source.rate == Fraction(30000, 1001)
    images = [frame.image for frame in source]
    assert [image.shape for image in images] == [(32, 48, 3)] * 4
    np.testing.assert_allclose([image.mean() for image in images], [40, 120, 200, 80], atol=3)


@pytest.mark.usefixtures("no_pyav")
def test_a_pipe_gets_the_video(path: Path, tmp_path: Path) -> None:
    program(path, "sys.stdout.buffer.write(sys.argv[-1].encode() + sys.stdin.buffer.read()[:2])")
    pipe = tmp_path / "x.mp4"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(pipe.read_bytes)
        with VideoWriter(pipe) as writer:
            writer.write(picture(9))
        assert found.result(timeout=20) == b"pipe:1P6"
