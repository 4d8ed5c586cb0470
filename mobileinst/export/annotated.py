"""Annotated frames: a video of all, and the picture of the one that shows most."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import NamedWrites, Output
from ..io.png import encode_png
from ..results import Instances
from ..video import VideoError, VideoWriter
from .sink import Sink, export_format

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

    def write(
        self,
        frame: int,
        time: float,
        instances: Instances,
        name: str | None = None,
        overlay: NDArray[np.uint8] | None = None,
    ) -> None:
        assert overlay is not None
        if not self._video.frames and self._source is not None:
            # With the first frame in hand a stream knows how it is turned, too.
            self._video.pixel_aspect = self._source.pixel_aspect
        self._video.write(overlay, time)

    def complete(self) -> None:
        self._video.complete()

    def finish(self) -> None:
        self._video.close()

    def discard(self) -> None:
        self._video.discard()


@export_format("picture", metavar="PNG", text="the frame that shows most, drawn", suffix=".png")
class PictureSink(Sink):
    """Keeps the overlay of the frame that shows most (greatest sum of scores) and writes it at the end.

    The suffix says whether as PNG, or as JPEG by Pillow.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() not in PICTURE_SUFFIXES:
            raise VideoError(f"{path}: expected a picture's name that ends in {', '.join(PICTURE_SUFFIXES)}")
        self._pillow = None if self._path.suffix.lower() == ".png" else _import_pillow()
        self._output = Output(path)
        self._best = -1.0
        self._written = False
        self._picture: NDArray[np.uint8] | None = None

    def wants_overlay(self, instances: Instances) -> bool:
        return float(instances.scores.sum()) > self._best

    def write(
        self,
        frame: int,
        time: float,
        instances: Instances,
        name: str | None = None,
        overlay: NDArray[np.uint8] | None = None,
    ) -> None:
        if overlay is not None and self.wants_overlay(instances):
            self._best, self._picture = float(instances.scores.sum()), overlay

    def complete(self) -> None:
        picture, self._picture = self._picture, None
        if picture is None:
            return
        with NamedWrites(self._path):
            file = self._output.open("wb")
            if self._pillow is None:
                file.write(encode_png(picture))
            else:
                self._pillow.fromarray(picture).save(file, format="JPEG", quality=92)
            self._output.complete()
        self._written = True

    def finish(self) -> None:
        self.complete()
        if self._written:
            self._output.finish()
        else:
            self._output.discard()

    def discard(self) -> None:
        self._output.discard()


def _import_pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f'JPEG needs Pillow: pip install "mobileinst[image]" ({error})') from None
    return Image
