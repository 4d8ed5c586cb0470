"""What turns frames into H.264: PyAV, or the program ffmpeg where that is missing."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output
from .frames import VideoError, reason
from .pipes import end_process, last_line
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


class FfmpegEncoder(Encoder):
    """By the program ffmpeg, which gets the frames as a stream of PPM pictures.

    They are so many a second: between times further apart the earlier picture is repeated, and one that comes
    more than a frame too early is left out.
    """

    def __init__(self, output: Output, rate: Fraction, quality: int) -> None:
        super().__init__(output, rate, quality)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed at the end)
        self._picture = b""
        self._written = 0

    def write(self, image: NDArray[np.uint8], time: Fraction, pixel_aspect: Fraction) -> None:
        height, width = image.shape[:2]
        if self._process is None:
            self._process = self._start(width, height, pixel_aspect)
        wanted = round(time * self._rate)
        if not self._picture:
            self._written = wanted
        if self._written > wanted + 1:
            return
        while self._written < wanted and self._picture:
            self._send()
        self._picture = b"P6\n%d %d\n255\n" % (width, height) + image.tobytes()
        self._send()

    def finish(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        failed = self._process.wait() != 0
        said = last_line(self._errors)
        self._errors.close()
        if failed:
            raise VideoError(f"ffmpeg stopped: {said}")

    def abandon(self) -> None:
        if self._process is not None:
            end_process(self._process)
        self._errors.close()

    def _send(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(self._picture)
        except OSError:
            end_process(self._process)
            raise VideoError(f"ffmpeg stopped: {last_line(self._errors)}") from None
        self._written += 1

    def _start(self, width: int, height: int, pixel_aspect: Fraction) -> subprocess.Popen[bytes]:
        encoder = _encoder_of_ffmpeg()
        quality = ["-crf", str(self._quality), "-preset", "veryfast"] if encoder == "libx264" else []
        aspect = f"{pixel_aspect.numerator}/{pixel_aspect.denominator}"
        scale = f"scale={width}:{height}:out_color_matrix=bt709:out_range=tv"
        colors = [
            part for name in ("colorspace", "color_primaries", "color_trc") for part in (f"-{name}", "bt709")
        ]
        flags = self._muxer_flags()
        kind = {".mkv": "matroska", ".mov": "mov"}.get(self._output.path.suffix.lower(), "mp4")
        command = ["ffmpeg", "-v", "error", "-f", "image2pipe", "-c:v", "ppm"]
        command += ["-framerate", f"{self._rate.numerator}/{self._rate.denominator}", "-i", "pipe:0"]
        command += ["-vf", f"{scale},setsar={aspect},format=yuv420p", "-c:v", encoder, *quality]
        command += [*colors, "-color_range", "tv", *(["-movflags", flags] if flags else [])]
        # /dev/stdout would be the program's own
        direct = self._output.direct
        target = "pipe:1" if direct else f"file:{self._output.temporary}"
        return subprocess.Popen(
            [*command, "-f", kind, "-y", target],
            stdin=subprocess.PIPE,
            stdout=self._output.open("wb") if direct else subprocess.DEVNULL,
            stderr=self._errors,
            # In a session of its own, so that Ctrl-C reaches us, who end it.
            start_new_session=True,
        )


def make_encoder(output: Output, rate: Fraction, quality: int) -> Encoder:
    """An encoder by PyAV, or where that is missing by the program ffmpeg.

    Raises:
        ImportError: without both; the message names them.
        VideoError: if PyAV can't write there.
    """
    try:
        return PyavEncoder(output, rate, quality)
    except ImportError as error:
        if shutil.which("ffmpeg") is None:
            raise ImportError(f"{error}, or install the program ffmpeg") from None
        return FfmpegEncoder(output, rate, quality)


def _encoder_of_ffmpeg() -> str:
    """The best encoder of H.264 that the program has."""
    command = ["ffmpeg", "-v", "error", "-encoders"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise VideoError(f"ffmpeg doesn't name its encoders: {reason(error)}") from None
    words = done.stdout.decode(errors="replace").split()
    encoder = next((name for name in H264 if name in words), None)
    if encoder is None:
        raise VideoError(f"this ffmpeg has no H.264 encoder ({', '.join(H264)})")
    return encoder
