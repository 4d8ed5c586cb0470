"""The Raspberry Pi's camera through picamera2, which Raspberry Pi OS brings."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from .frames import Frame, FrameSource, VideoError


class Picamera2Source(FrameSource):
    """Frames of a camera module, RGB, as fast as the camera gives them or the caller takes them.

    Args:
        index: which camera. size: (width, height) in pixels. rate: frames per second asked of the camera.

    Raises:
        ImportError: without picamera2; the message says how to get it.
    """

    def __init__(
        self, index: int = 0, *, size: tuple[int, int] = (1280, 720), rate: Fraction | float = 30
    ) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise ImportError(
                "the Raspberry Pi camera needs picamera2: sudo apt-get install python3-picamera2, and a "
                f"virtual environment made with --system-site-packages ({error})"
            ) from None
        self.name = f"picamera2:{index}"
        self.rate = Fraction(rate).limit_denominator(1001)
        self._index, self._size = index, size
        self._open: Any = Picamera2

    def __iter__(self) -> Iterator[Frame]:
        try:
            camera = self._open(self._index)
            # picamera2 names formats by their order in a register: BGR888 has red first in memory.
            main = {"size": self._size, "format": "BGR888"}
            camera.configure(
                camera.create_video_configuration(main=main, controls={"FrameRate": float(self.rate or 30)})
            )
            camera.start()
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            raise VideoError(f"{self.name}: can't be opened: {error or type(error).__name__}") from None
        try:
            yield from self._frames(camera)
        finally:
            camera.stop()
            camera.close()

    def _frames(self, camera: Any) -> Iterator[Frame]:
        start: int | None = None
        number = 0
        while True:
            try:
                request = camera.capture_request()
                try:
                    image = np.array(request.make_array("main")[..., :3], np.uint8, order="C")
                    expected = number * 1e9 / (self.rate or 30)
                    stamp = int(request.get_metadata().get("SensorTimestamp", expected))
                finally:
                    request.release()
            except (RuntimeError, OSError) as error:
                raise VideoError(f"{self.name}: stopped: {error or type(error).__name__}") from None
            start = stamp if start is None else start
            yield Frame(image, (stamp - start) / 1e9, f"frame {number}")
            number += 1
