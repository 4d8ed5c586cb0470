"""Programs that write frames: fake ones on the path, and the real ffmpeg where there is one."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobileinst.video import NewestFrames, VideoError, open_source
from mobileinst.video.pipes import FfmpegSource, RpicamSource, read_ppm, yuv420_to_rgb

posix = pytest.mark.skipif(os.name == "nt", reason="programs as scripts")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, code: str) -> None:
    (folder / name).write_text(f"#!{sys.executable}\nimport sys, time\nout = sys.stdout.buffer\n{code}\n")
    (folder / name).chmod(0o755)


@posix
def test_rpicam_vid(programs: Path) -> None:
    frame = "bytes([235]) * (64 * 2) + bytes([128]) * 64"
    program(
        programs,
        "rpicam-vid",
        f"open({str(programs / 'said')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"for i in range(3): out.write({frame})\nout.write(b'part')",
    )
    source = RpicamSource(1, size=(64, 2), rate=10)
    frames = list(source)
    assert len(frames) == 3
    assert frames[0].time == 0 <= frames[1].time <= frames[2].time
    np.testing.assert_array_equal(frames[0].image, np.full((2, 64, 3), 255))
    said = (programs / "said").read_text()
    assert "--camera 1 --width 64 --height 2 --framerate 10 " in said
    assert "--codec yuv420" in said
    assert source.rate == 10


@posix
def test_the_files_of_ffmpeg_and_of_the_standard_input_are_known(programs: Path) -> None:
    program(programs, "ffmpeg", "")
    program(programs, "ffprobe", "")
    (programs / "x.mp4").touch()
    for name in (f"{programs}/x.mp4", f"file:{programs}/x.mp4", f"file://{programs}/x.mp4"):
        assert FfmpegSource(name).files() == [f"{programs}/x.mp4"]
    assert FfmpegSource("-").files() == ["/dev/stdin"]


@posix
def test_a_program_that_fails_says_why(programs: Path) -> None:
    program(programs, "libcamera-vid", "sys.exit('ERROR: *** no cameras available ***')")
    with pytest.raises(VideoError, match=r"rpicam-vid: libcamera-vid stopped: ERROR: \*\*\* no cameras"):
        next(iter(RpicamSource(size=(64, 2))))


@posix
def test_leaving_ends_the_program(programs: Path) -> None:
    program(programs, "ffmpeg", "while True: out.write(b'P6\\n2 1\\n255\\n' + b'abcdef'); time.sleep(0.001)")
    frames = iter(FfmpegSource("x"))
    next(frames)
    frames.close()  # type: ignore[attr-defined]


@posix
def test_a_silent_program_ends_with_the_iteration(programs: Path) -> None:
    program(programs, "ffmpeg", "out.write(b'P6\\n2 1\\n255\\nabcdef'); out.flush(); time.sleep(600)")
    source = FfmpegSource("x")
    frames = iter(NewestFrames(source))
    next(frames)
    assert source._process is not None
    frames.close()  # type: ignore[attr-defined]
    assert source._process.wait(10) is not None


@posix
def test_a_cancelled_program_has_ended_well(programs: Path) -> None:
    program(programs, "ffmpeg", "out.write(b'P6\\n2 1\\n255\\nabcdef'); out.flush(); time.sleep(600)")
    source = FfmpegSource("x")
    frames = iter(source)
    next(frames)
    source.cancel()
    assert list(frames) == []


def test_missing_programs_are_named(programs: Path) -> None:
    with pytest.raises(VideoError, match=r"no program rpicam-vid .*rpicam-apps"):
        RpicamSource()
    with pytest.raises(VideoError, match=r"no program ffmpeg"):
        FfmpegSource("clip.mp4")
    with pytest.raises(VideoError, match="multiples of 64"):
        RpicamSource(size=(100, 100))


def test_ppm() -> None:
    stream = io.BytesIO(b"P6\n2 1\n255\nabcdefP6\n1 1\n255\nxyzP6\n5 5\n255\nshort")
    first, second = read_ppm(stream), read_ppm(stream)
    assert first is not None
    assert second is not None
    assert (first.tobytes(), first.shape, second.tobytes()) == (b"abcdef", (1, 2, 3), b"xyz")
    assert read_ppm(stream) is None
    assert read_ppm(io.BytesIO()) is None
    for bad in (b"P5\n2 1\n255\n", b"P6\n2 x\n255\n", b"P6\n2 1\n65535\n", b"P6\n99999999 99999999\n255\n"):
        with pytest.raises(VideoError, match="PPM"):
            read_ppm(io.BytesIO(bad))


@pytest.mark.parametrize("size", [(1280, 720), (64, 48)])
def test_yuv_is_what_pyav_makes_of_it(size: tuple[int, int]) -> None:
    av = pytest.importorskip("av")
    width, height = size
    rng = np.random.default_rng(0)
    small = rng.integers(60, 200, (3, height // 8, width // 8), np.uint8)
    luma = np.kron(small[0], np.ones((8, 8), np.uint8))
    chroma = [np.kron(plane, np.ones((4, 4), np.uint8)) for plane in small[1:]]
    data = np.concatenate([luma.ravel(), chroma[0].ravel(), chroma[1].ravel()])
    frame = av.VideoFrame.from_ndarray(data.reshape(-1, width), format="yuv420p")
    space = (
        av.video.reformatter.Colorspace.ITU709 if width == 1280 else av.video.reformatter.Colorspace.ITU601
    )
    expected = frame.reformat(format="rgb24", src_colorspace=space).to_ndarray().astype(int)
    found = yuv420_to_rgb(data, width, height).astype(int)
    inner = np.abs(found - expected).reshape(height // 8, 8, width // 8, 8, 3)[:, 2:6, :, 2:6]
    assert inner.max() <= 3


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_ffmpeg_reads_a_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from mobileinst.video.writer import VideoWriter

    with VideoWriter(tmp_path / "a b:%.mp4", 25) as writer:
        for number in range(10):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    source = FfmpegSource(str(tmp_path / "a b:%.mp4"))
    frames = list(source)
    assert (len(frames), source.rate) == (10, 25)
    assert [frame.time for frame in frames] == pytest.approx([number / 25 for number in range(10)])
    assert [round(float(frame.image.mean()) / 20) for frame in frames] == list(range(10))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_videos_are_read_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name looks like an address, and the standard input."""
    pytest.importorskip("av")
    from mobileinst.video.writer import VideoWriter

    monkeypatch.chdir(tmp_path)
    with VideoWriter("rtsp:a b.mkv", 25) as writer:
        for number in range(5):
            writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    code = """
import sys
sys.modules["av"] = None
from mobileinst.video import open_source
for frame in open_source(sys.argv[1]):
    print(frame.image.shape, round(frame.image.mean() / 40))
"""
    expected = "".join(f"(48, 64, 3) {number}\n" for number in range(5))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("rtsp:a b.mkv", "-"):
        with open("rtsp:a b.mkv", "rb") as file:
            done = subprocess.run(
                [sys.executable, "-c", code, name],
                stdin=file,
                capture_output=True,
                text=True,
                env=environment,
            )
        assert (done.stdout, done.stderr) == (expected, "")


@posix
def test_a_fake_ffmpeg_reads_what_pyav_would(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    said = programs / "said"
    code = f"open({str(said)!r}, 'w').write(' '.join(sys.argv[1:]))\nout.write(b'P6\\n2 1\\n255\\nabcdef')"
    program(programs, "ffmpeg", code)
    (programs / "x.mp4").write_bytes(b"video")
    (frame,) = open_source(programs / "x.mp4")
    assert frame.image.tobytes() == b"abcdef"
    assert f"-i file:{programs / 'x.mp4'} -map 0:v:0" in said.read_text()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_ffmpeg_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(VideoError, match="ffmpeg stopped: "):
        next(iter(FfmpegSource(str(tmp_path / "bad.mp4"))))
