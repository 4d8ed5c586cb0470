"""Videos that browsers play: H.264 in yuv420p, MP4 with its index in front, by PyAV."""

from __future__ import annotations

import logging
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_frame
from ..io.files import Output
from .frames import DEFAULT_RATE, VideoError, rate_fraction, reason
from .streams import av_errors, import_av

log = logging.getLogger(__name__)

SUFFIXES = (".m4v", ".mkv", ".mov", ".mp4")
_ENCODERS = ("libx264", "libopenh264", "h264_v4l2m2m", "h264_videotoolbox", "h264_mf")
_BT709 = 1
_LIMITED_RANGE = 1


class VideoWriter:
    """Writes frames to a video that appears, finished, when the writer is closed.

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
        ImportError: without PyAV.
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
        self._av = import_av()
        self._errors = av_errors()
        self.rate = rate_fraction(rate or DEFAULT_RATE)
        self.frames = 0
        self._quality = quality
        self.pixel_aspect = pixel_aspect
        # Ticks that divide the frame rate exactly and are fine enough for uneven frames.
        self._tick = Fraction(1, self.rate.numerator * math.ceil(10_000 / self.rate.numerator))
        self._last = -1
        self._completed = False
        self._output = Output(path)
        self._stream: Any = None
        try:
            options = {}
            if self._output.path.suffix.lower() != ".mkv":
                # A pipe can't go back to write the index in front.
                flags = "frag_keyframe+empty_moov" if self._output.direct else "+faststart"
                options = {"movflags": flags}
            # With the prefix FFmpeg takes no name for an address, whatever is in it.
            self._container = self._av.open(f"file:{self._output.temporary}", "w", options=options)
        except BaseException as error:
            self._output.discard()
            if isinstance(error, self._errors):
                raise VideoError(f"{path}: can't be written: {reason(error)}") from None
            raise

    def write(self, image: NDArray[np.uint8], time: float | None = None) -> None:
        """Add a frame, uint8 (H, W, 3) RGB, shown from `time` (seconds) on; without it at the frame rate.

        Raises:
            ValueError: if it is no such image.
            VideoError: if the encoder refuses it.
        """
        even = _even(check_frame(image))
        try:
            if self._stream is None:
                self._begin(even.shape[1], even.shape[0])
            frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
            frame = frame.reformat(
                self._stream.width,
                self._stream.height,
                "yuv420p",
                dst_colorspace=self._av.video.reformatter.Colorspace.ITU709,
            )
            at = self.frames / self.rate if time is None else Fraction(time)
            self._last = max(self._last + 1, round(at / self._tick))
            frame.pts, frame.time_base = self._last, self._tick
            self._container.mux(self._stream.encode(frame))
        except self._errors as error:
            raise VideoError(
                f"{self._output.path}: frame {self.frames} can't be encoded: {reason(error)}"
            ) from None
        self.frames += 1

    def complete(self) -> None:
        """Write what is left to write; `close` then only gives the file its name."""
        if self._stream is None or self._completed:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except self._errors as error:
            self._output.discard()
            raise VideoError(f"{self._output.path}: can't be finished: {reason(error)}") from None
        self._completed = True

    def close(self) -> None:
        """Finish the video and give it its name; without any frame no file is left."""
        if self._stream is None:
            self.discard()
            return
        self.complete()
        self._output.finish()

    def discard(self) -> None:
        """Remove what was begun."""
        try:
            if not self._completed:
                self._container.close()
        except self._errors as error:
            log.debug("closing a discarded video: %s", error)
        self._output.discard()

    def _begin(self, width: int, height: int) -> None:
        encoder = next((name for name in _ENCODERS if name in self._av.codec.codecs_available), None)
        if encoder is None:
            raise VideoError(f"this PyAV has no H.264 encoder ({', '.join(_ENCODERS)})")
        options = {"crf": str(self._quality), "preset": "veryfast"} if encoder == "libx264" else {}
        stream = self._container.add_stream(encoder, rate=self.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self._tick
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        if self.pixel_aspect != 1:
            context.sample_aspect_ratio = self.pixel_aspect
        self._stream = stream

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
