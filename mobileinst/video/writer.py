"""Videos that browsers play: H.264 in yuv420p, MP4 with its index in front, by PyAV or the program ffmpeg."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_frame
from ..io.files import Output
from .encoders import make_encoder
from .frames import DEFAULT_RATE, VideoError, rate_fraction

SUFFIXES = (".m4v", ".mkv", ".mov", ".mp4")


class VideoWriter:
    """Writes frames to a video that appears, finished, when the writer is closed.

    Where PyAV is missing, the program ffmpeg writes it, at a constant frame rate.

    As a context manager it closes at the end and removes what was begun after an exception. The first frame
    sets the size, one more row or column of repeated pixels makes it even; later frames of another size are
    scaled to it.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        rate: frames per second, kept where frames come without a time.
        quality: x264's constant rate factor. Up: smaller files, coarser pictures.
        pixel_aspect: width of a pixel by its height, as `FrameSource.pixel_aspect` says; an attribute of this
            name may be set until the first frame.

    Raises:
        VideoError: for another suffix, or where no H.264 encoder is there.
        OSError: if the file can't be written.
        ImportError: without PyAV and the program ffmpeg.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction | float | None = None,
        *,
        quality: int = 20,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        if Path(path).suffix.lower() not in SUFFIXES:
            raise VideoError(f"{path}: expected a video file name that ends in {', '.join(SUFFIXES)}")
        self.rate = rate_fraction(rate or DEFAULT_RATE)
        self.frames = 0
        self.pixel_aspect = pixel_aspect
        self._completed = False
        self._output = Output(path)
        try:
            self._encoder = make_encoder(self._output, self.rate, quality)
        except BaseException as error:
            self._output.discard()
            if isinstance(error, VideoError):
                raise VideoError(f"{path}: can't be written: {error}") from None
            raise

    def write(self, image: NDArray[np.uint8], time: float | None = None) -> None:
        """Add a frame, uint8 (H, W, 3) RGB, shown from `time` (seconds) on; without it at the frame rate.

        Raises:
            ValueError: if it is no such image.
            VideoError: if the encoder refuses it.
        """
        even = _even(check_frame(image))
        try:
            at = self.frames / self.rate if time is None else Fraction(time)
            self._encoder.write(even, at, self.pixel_aspect)
        except (ValueError, OverflowError) as error:  # also of times that are no numbers
            message = f"{self._output.path}: frame {self.frames} can't be encoded: {error}"
            raise VideoError(message) from None
        self.frames += 1

    def complete(self) -> None:
        """Write what is left to write; `close` then only gives the file its name."""
        if not self.frames or self._completed:
            return
        try:
            self._encoder.finish()
        except VideoError as error:
            self._output.discard()
            raise VideoError(f"{self._output.path}: can't be finished: {error}") from None
        self._completed = True

    def close(self) -> None:
        """Finish the video and give it its name; without any frame no file is left."""
        if not self.frames:
            self.discard()
            return
        self.complete()
        self._output.finish()

    def discard(self) -> None:
        """Remove what was begun."""
        if not self._completed:
            self._encoder.abandon()
        self._output.discard()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
