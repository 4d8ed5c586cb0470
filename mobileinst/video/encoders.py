"""What turns frames into H.264: PyAV."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output
from .frames import VideoError, reason
from .streams import av_errors, import_av

log = logging.getLogger(__name__)

#: FFmpeg's names of encoders of H.264, the best first.
H264 = ("libx264", "libopenh264", "h264_v4l2m2m", "h264_videotoolbox", "h264_mf")
_BT709 = 1
_LIMITED_RANGE = 1


class Encoder(ABC):
    """Writes frames of even sides into an output's temporary file; its errors are VideoErrors.

    Args:
        output: MP4, QuickTime or Matroska by its suffix.
        rate: frames per second.
        quality: x264's constant rate factor.
    """

    def __init__(self, output: Output, rate: Fraction, quality: int) -> None:
        self._output = output
        self._rate = rate
        self._quality = quality

    @abstractmethod
    def write(self, image: NDArray[np.uint8], time: Fraction, pixel_aspect: Fraction) -> None:
        """Add a frame, uint8 (H, W, 3) RGB, shown from `time` (seconds) on, scaled to the first one's size.

        The aspect of pixels is that of the first frame.
        """

    @abstractmethod
    def finish(self) -> None:
        """Write what is left, and close the file."""

    @abstractmethod
    def abandon(self) -> None:
        """Close the file as it is; nothing is raised."""

    def _muxer_flags(self) -> str:
        """FFmpeg's -movflags; empty for Matroska."""
        if self._output.path.suffix.lower() == ".mkv":
            return ""
        # A pipe can't go back to write the index in front.
        return "frag_keyframe+empty_moov" if self._output.direct else "+faststart"


class PyavEncoder(Encoder):
    """By PyAV.

    Raises:
        ImportError: without PyAV.
    """

    def __init__(self, output: Output, rate: Fraction, quality: int) -> None:
        super().__init__(output, rate, quality)
        self._av = import_av()
        self._errors = av_errors()
        # Ticks that divide the frame rate exactly and are fine enough for uneven frames.
        self._tick = Fraction(1, rate.numerator * math.ceil(10_000 / rate.numerator))
        self._last = -1
        self._stream: Any = None
        flags = self._muxer_flags()
        try:
            # With the prefix FFmpeg takes no name for an address, whatever is in it.
            self._container = self._av.open(
                f"file:{output.temporary}", "w", options={"movflags": flags} if flags else {}
            )
        except self._errors as error:
            raise VideoError(reason(error)) from None

    def write(self, image: NDArray[np.uint8], time: Fraction, pixel_aspect: Fraction) -> None:
        try:
            if self._stream is None:
                self._stream = self._begin(image.shape[1], image.shape[0], pixel_aspect)
            frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(
                self._stream.width,
                self._stream.height,
                "yuv420p",
                dst_colorspace=self._av.video.reformatter.Colorspace.ITU709,
            )
            self._last = max(self._last + 1, round(time / self._tick))
            frame.pts, frame.time_base = self._last, self._tick
            self._container.mux(self._stream.encode(frame))
        except self._errors as error:
            raise VideoError(reason(error)) from None

    def finish(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except self._errors as error:
            raise VideoError(reason(error)) from None

    def abandon(self) -> None:
        try:
            self._container.close()
        except self._errors as error:
            log.debug("closing a discarded video: %s", error)

    def _begin(self, width: int, height: int, pixel_aspect: Fraction) -> Any:
        encoder = next((name for name in H264 if name in self._av.codec.codecs_available), None)
        if encoder is None:
            raise VideoError(f"this PyAV has no H.264 encoder ({', '.join(H264)})")
        options = {"crf": str(self._quality), "preset": "veryfast"} if encoder == "libx264" else {}
        stream = self._container.add_stream(encoder, rate=self._rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self._tick
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        if pixel_aspect != 1:
            context.sample_aspect_ratio = pixel_aspect
        return stream
