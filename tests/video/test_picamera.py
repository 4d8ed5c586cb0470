"""picamera2 as a fake module: what is asked of the camera, and what comes of its frames."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from mobileinst.video import VideoError
from mobileinst.video.picamera import Picamera2Source


class Request:
    def __init__(self, number: int) -> None:
        self.number, self.released = number, False

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        padded = np.zeros((4, 8, 3), np.uint8)
        padded[..., 0] = self.number
        return padded[:, :6]

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": 5_000_000_000 + self.number * 40_000_000}

    def release(self) -> None:
        self.released = True


class Picamera2:
    made: Picamera2

    def __init__(self, index: int) -> None:
        if index > 0:
            raise IndexError("list index out of range")
        Picamera2.made = self
        self.done: list[str] = []
        self.requests: list[Request] = []

    def create_video_configuration(self, **options: Any) -> dict[str, Any]:
        self.options = options
        return options

    def configure(self, configuration: dict[str, Any]) -> None:
        assert configuration is self.options

    def start(self) -> None:
        self.done.append("start")

    def capture_request(self) -> Request:
        if len(self.requests) == 3:
            raise RuntimeError("camera frontend has timed out")
        self.requests.append(Request(len(self.requests)))
        return self.requests[-1]

    def stop(self) -> None:
        self.done.append("stop")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("picamera2")
    fake.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", fake)


@pytest.mark.usefixtures("module")
def test_frames_are_rgb_with_the_sensors_times() -> None:
    source = Picamera2Source(size=(6, 4), rate=25)
    frames = []
    with pytest.raises(VideoError, match="stopped: camera frontend has timed out"):
        frames.extend(frame for frame in source if frames.append(frame) or False)  # type: ignore[func-returns-value]
    camera = Picamera2.made
    assert camera.options["main"] == {"size": (6, 4), "format": "BGR888"}
    assert camera.options["controls"] == {"FrameRate": 25.0}
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert [frame.image[0, 0].tolist() for frame in frames] == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert all(frame.image.shape == (4, 6, 3) and frame.image.flags.c_contiguous for frame in frames)
    assert all(request.released for request in camera.requests)
    assert camera.done == ["start", "stop", "close"]


@pytest.mark.usefixtures("module")
def test_a_missing_camera_is_one_line() -> None:
    with pytest.raises(VideoError, match="picamera2:1: can't be opened: list index"):
        next(iter(Picamera2Source(1)))


def test_a_missing_module_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(ImportError, match="python3-picamera2"):
        Picamera2Source()
