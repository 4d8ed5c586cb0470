"""Annotated frames: a video of all, and the picture of the one that shows most."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..io.extras import import_extra
from ..io.files import Output
from ..io.png import encode_png
from ..results import Instances
from ..video import VideoError, VideoWriter
from .sink import FileSink, FrameResult, Sink, export_format

if TYPE_CHECKING:
    from ..video import FrameSource

PICTURE_SUFFIXES = (".jpeg", ".jpg", ".png")


@export_format("video", "-o", "--output", metavar="MP4", text="video with masks drawn on it", suffix=".mp4")
class VideoSink(Sink):
    """A video of the overlays, by `VideoWriter`."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction | None = None,
        source: FrameSource | None = None,
    ) -> None:
        self._video = VideoWriter(path, rate)
        self._source = source

    @classmethod
    def open(cls, path: str, source: FrameSource | None = None) -> Sink:
        return cls(path, source.rate if source else None, source)

    def wants_overlay(self, instances: Instances) -> bool:
        return True

    def write(self, frame: FrameResult) -> None:
        assert frame.overlay is not None
        if not self._video.frames and self._source is not None:
            # With the first frame in hand a stream knows how it is turned, too.
            self._video.pixel_aspect = self._source.pixel_aspect
        self._video.write(frame.overlay, frame.time)

    def complete(self) -> None:
        self._video.complete()

    def finish(self) -> None:
        self._video.close()

    def discard(self) -> None:
        self._video.discard()


@export_format("picture", metavar="PNG", text="the frame that shows most, drawn", suffix=".png")
class PictureSink(FileSink):
    """Keeps the overlay of the frame that shows most (greatest sum of scores) and writes it at the end.

    The suffix says whether as PNG, or as JPEG by Pillow.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() not in PICTURE_SUFFIXES:
            raise VideoError(f"{path}: expected a picture's name that ends in {', '.join(PICTURE_SUFFIXES)}")
        self._pillow: Any = None
        if self._path.suffix.lower() != ".png":
            self._pillow = import_extra("PIL.Image", "JPEG needs Pillow", "image")
        self._output: Output = Output(path)
        self._best = -1.0
        self._picture: NDArray[np.uint8] | None = None

    def wants_overlay(self, instances: Instances) -> bool:
        return float(instances.scores.sum()) > self._best

    def write(self, frame: FrameResult) -> None:
        if frame.overlay is not None and self.wants_overlay(frame.instances):
            self._best, self._picture = float(frame.instances.scores.sum()), frame.overlay

    def _end(self) -> None:
        if self._picture is None:
            return
        file = self._output.open("wb")
        if self._pillow is None:
            file.write(encode_png(self._picture))
        else:
            self._pillow.fromarray(self._picture).save(file, format="JPEG", quality=92)

    def finish(self) -> None:
        if self._picture is None:
            self.discard()
        else:
            super().finish()
