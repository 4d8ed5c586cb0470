"""Newest frames of a fake camera: slow consumers drop frames, quick ones get all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mobileinst.video import Frame, FrameSource, VideoError
from mobileinst.video.live import NewestFrames


class Camera(FrameSource):
    """Gives so many frames; waits for `go` before each where it is given; then ends or fails."""

    name = "fake"

    def __init__(
        self, frames: int, error: Exception | None = None, go: threading.Semaphore | None = None
    ) -> None:
        self.frames, self.error, self.go = frames, error, go
        self.given = 0
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        try:
            for number in range(self.frames):
                if self.go is not None:
                    self.go.acquire()
                self.given = number + 1
                yield Frame(np.full((2, 3, 3), number, np.uint8), number / 30, f"frame {number}")
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def wait_for(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.005)
    assert condition()  # type: ignore[operator]


def test_a_slow_consumer_gets_the_newest_frame() -> None:
    go = threading.Semaphore(0)
    camera = Camera(100, go=go)
    newest = NewestFrames(camera)
    frames = iter(newest)
    go.release()
    assert next(frames).name == "frame 0"
    go.release(9)  # Nine frames come while the consumer works.
    wait_for(lambda: newest.dropped == 8)
    assert next(frames).name == "frame 9"
    go.release()
    assert next(frames).name == "frame 10"
    assert newest.dropped == 8
    go.release(100)
    rest = list(frames)
    assert rest[-1].name == "frame 99"
    assert newest.dropped + 3 + len(rest) == 100


def test_a_quick_consumer_gets_every_frame() -> None:
    go = threading.Semaphore(1)
    newest = NewestFrames(Camera(50, go=go))
    seen = []
    for frame in newest:
        seen.append(int(frame.image[0, 0, 0]))
        go.release()
    assert seen == list(range(50))
    assert newest.dropped == 0


def test_errors_come_after_the_last_frame() -> None:
    newest = NewestFrames(Camera(1, VideoError("fake: unplugged")))
    frames = iter(newest)
    assert next(frames).name == "frame 0"
    with pytest.raises(VideoError, match="unplugged"):
        next(frames)


def test_leaving_early_closes_the_camera() -> None:
    camera = Camera(10**9)
    frames = iter(NewestFrames(camera))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    wait_for(lambda: camera.closed)
    given = camera.given
    time.sleep(0.05)
    assert camera.given == given


def test_paced_files_take_their_time() -> None:
    start = time.monotonic()
    list(NewestFrames(Camera(7), paced=True))
    assert time.monotonic() - start >= 6 / 30
