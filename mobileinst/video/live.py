"""The newest frame of a camera, however long the work on a frame takes: what came meanwhile is dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

from .frames import Frame, FrameSource

#: Seconds between two looks at whether a signal came.
_LOOK = 0.1


class NewestFrames(FrameSource):
    """Reads a source in a thread of its own and gives the newest frame whenever one is asked for.

    Whoever works more slowly than the camera so stays at most one frame behind it. Numbers in names and times
    are the camera's, so that gaps show.

    Args:
        source: camera, stream or other source.
        paced: give frames at the times that they carry, so that a file behaves like a camera.

    Attributes:
        dropped: frames that came and were never given.
    """

    def __init__(self, source: FrameSource, *, paced: bool = False) -> None:
        self.source = source
        self.name, self.rate = source.name, source.rate
        self.dropped = 0
        self._paced = paced
        self._ready = threading.Condition()
        self._newest: Frame | None = None
        self._ended = self._stopped = False
        self._error: Exception | None = None

    @property
    def pixel_aspect(self) -> Fraction:  # type: ignore[override]
        return self.source.pixel_aspect

    def files(self) -> list[str]:
        return self.source.files()

    def __iter__(self) -> Iterator[Frame]:
        self._newest, self._error, self._ended, self._stopped = None, None, False, False
        reader = threading.Thread(target=self._read, name="mobileinst-camera", daemon=True)
        reader.start()
        try:
            while (frame := self._next()) is not None:
                yield frame
        finally:
            self._stopped = True
            reader.join(timeout=_LOOK)
            if reader.is_alive():
                self.source.cancel()
                reader.join(timeout=2)
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """End a running iteration soon, as if the source ended; may be called by a signal handler."""
        self._stopped = self._ended = True
        self.source.cancel()

    def _next(self) -> Frame | None:
        with self._ready:
            while self._newest is None and not self._ended:
                self._ready.wait(_LOOK)
            frame, self._newest = self._newest, None
            return frame

    def _read(self) -> None:
        start = time.monotonic()
        try:
            for frame in self.source:
                if self._paced:
                    time.sleep(max(0.0, frame.time - (time.monotonic() - start)))
                with self._ready:
                    if self._stopped:
                        return
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._ready.notify()
        except Exception as error:
            self._error = error
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify()
