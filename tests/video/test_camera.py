"""Cameras through FFmpeg's devices, and sources by name, with fake modules in place of devices."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.video import VideoError, cameras, open_source
from mobileinst.video.pipes import FfmpegSource


class FakeFrame:
    rotation = 0

    def __init__(self, number: int) -> None:
        self.side_data: dict[str, bytes] = {}
        self.pts = 9000 + 3000 * number
        self.number = number

    def to_ndarray(self, format: str) -> np.ndarray:
        assert format == "rgb24"
        return np.full((4, 6, 3), self.number, np.uint8)


class FakeContainer:
    def __init__(self) -> None:
        stream = types.SimpleNamespace(average_rate=Fraction(30), time_base=Fraction(1, 90000))
        self.streams = types.SimpleNamespace(video=[stream])

    def decode(self, video: int) -> Iterator[FakeFrame]:
        yield from map(FakeFrame, range(3))
        raise OSError(19, "No such device")

    def __enter__(self) -> FakeContainer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What a fake PyAV was asked to open."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def open_(file: str, **options: Any) -> FakeContainer:
        asked.append((file, options))
        return FakeContainer()

    module = types.ModuleType("av")
    module.open = open_  # type: ignore[attr-defined]
    module.error = types.SimpleNamespace(FFmpegError=OSError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "av", module)
    monkeypatch.setattr(sys, "platform", "linux")
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/dev/video7" or exists(self))
    return asked


def test_v4l2_is_asked_for_size_and_rate(opened: list[tuple[str, dict[str, Any]]]) -> None:
    camera = open_source("7", rate=15, camera_size=(640, 480))
    frames = []
    reading = iter(camera)
    for _ in range(3):
        frames.append(next(reading))
    with pytest.raises(VideoError, match="camera 7: stopped: No such device"):
        next(reading)
    assert opened == [
        ("/dev/video7", {"format": "v4l2", "options": {"video_size": "640x480", "framerate": "15"}})
    ]
    assert [(int(f.image[0, 0, 0]), round(f.time, 4)) for f in frames] == [(0, 0.0), (1, 0.0333), (2, 0.0667)]


def test_v4l2_is_left_to_its_driver_otherwise(opened: list[tuple[str, dict[str, Any]]]) -> None:
    with pytest.raises(VideoError, match="No such device"):  # to its end: no thread outlives the fake
        list(open_source(7))
    assert opened == [("/dev/video7", {"format": "v4l2", "options": {}})]


@pytest.mark.parametrize(
    ("name", "kind", "index"),
    [
        ("picamera2", "Picamera2Source", 0),
        ("picamera2:1", "Picamera2Source", 1),
        ("rpicam-vid", "RpicamSource", 0),
        ("rpicam-vid:2", "RpicamSource", 2),
    ],
)
def test_names_of_cameras(name: str, kind: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def camera(number: int, **options: Any) -> str:
        asked.update(options, index=number)
        return kind

    monkeypatch.setattr(cameras, kind, camera)
    assert open_source(name) == kind  # type: ignore[comparison-overlap]
    assert asked == {"index": index, "size": (1280, 720), "rate": 30}
    open_source(name, rate=10, camera_size=(64, 48))
    assert asked == {"index": index, "size": (64, 48), "rate": 10}


@pytest.mark.parametrize("name", ["picamera3", "picamera2:x", "ffmpeg", "ffmpeg:", "rpicam-vid:-1"])
def test_other_names_are_files_that_do_not_exist(name: str) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        open_source(name)


def test_ffmpeg_takes_over_where_pyav_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").touch()
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match=r"mobileinst\[video\]"):
        open_source(tmp_path / "clip.mp4")
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    assert isinstance(open_source(tmp_path / "clip.mp4"), FfmpegSource)
