"""Videos, streams and cameras by PyAV."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.extras import import_extra
from .background import Background, in_background
from .clock import Clock
from .frames import DEFAULT_RATE, Frame, FrameSource, VideoError, reason

#: Seconds to wait for a network source to open, and then for each next packet of it.
OPEN_TIMEOUT, READ_TIMEOUT = 20.0, 30.0

#: Where an image's columns and rows run on the display.
Matrix = tuple[tuple[int, int], tuple[int, int]]

#: Names of the standard input.
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "pipe:", "pipe:0")


class VideoSource(FrameSource):
    """A video file, stream or pipe, by PyAV; turned upright where it carries a rotation or is mirrored.

    What can be opened once only (a pipe, a network stream) is opened at once and read by the first iteration.
    Such sources are read in a thread of their own, so that a silent one can be interrupted.

    Args:
        name: path, or address with ``://``, or one of `STANDARD_INPUT`.
        open_timeout, read_timeout: seconds for network sources; None waits for ever.

    Raises:
        VideoError: if it can't be opened or has no video in it.
    """

    def __init__(
        self,
        name: str,
        *,
        open_timeout: float | None = OPEN_TIMEOUT,
        read_timeout: float | None = READ_TIMEOUT,
    ) -> None:
        self.name = name
        self._av = import_av()
        self._network = "://" in name and not os.path.exists(name)
        self._timeouts = (open_timeout, read_timeout) if self._network else None
        self._once = self._network or not _is_file(name)
        self._cancelled = threading.Event()
        self._stored_aspect = Fraction(1)
        container = in_background(self.open_container) if self._once else self.open_container()
        self._describe(container)
        self._opened: Any = container if self._once else None
        if not self._once:
            container.close()

    def files(self) -> list[str]:
        return ["/dev/stdin" if self.name in STANDARD_INPUT else self.name]

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def rereadable(self) -> bool:
        """Whether it can be opened again, and at any place: a file, no pipe and no stream."""
        return not self._once

    def open_container(self) -> Any:
        """PyAV's container of it, newly opened; VideoError if that fails."""
        options = metadata_options(self._av.__version__)
        if self._timeouts is not None:
            options["timeout"] = self._timeouts
        try:
            container = self._av.open(_address(self.name, self._network), **options)
        except av_errors() as error:
            raise VideoError(f"{self.name}: can't be opened as a video: {self._told(error)}") from None
        try:
            video_stream(container)
        except LookupError as error:
            container.close()
            raise VideoError(f"{self.name}: expected a video, found {error} in it") from None
        if video_stream(container).codec_context is None:
            container.close()
            raise VideoError(f"{self.name}: its video can't be decoded: this FFmpeg has no decoder for it")
        return container

    def _describe(self, container: Any) -> None:
        stream = video_stream(container)
        self.rate = _usable_rate(stream.average_rate) or _usable_rate(stream.guessed_rate)
        self.count = int(stream.frames) or None
        self._duration = _duration(stream)
        aspect = stream.codec_context.sample_aspect_ratio
        if aspect is not None and Fraction(1, 20) < aspect < 20:
            self._stored_aspect = self.pixel_aspect = Fraction(aspect.numerator, aspect.denominator)
        if self.pixel_aspect != 1 and not self._once:
            # Of what can't be read again this is known from the first frame on.
            self._turn_aspect(self._first_matrix(container))

    def _turn_aspect(self, matrix: Matrix | None) -> None:
        """Exchange width and height of pixels where the frames are turned by a quarter."""
        turned = matrix is not None and _is_quarter_turn(matrix)
        self.pixel_aspect = 1 / self._stored_aspect if turned else self._stored_aspect

    @staticmethod
    def _first_matrix(container: Any) -> Matrix | None:
        try:
            frame = next(container.decode(video_stream(container)), None)
        except av_errors():
            return None
        return None if frame is None else _display_matrix(frame)

    def _told(self, error: BaseException) -> str:
        limits = self._timeouts or (None, None)
        if type(error).__name__ == "ExitError" and any(limits):
            said = " or ".join(
                f"{limit:g} s ({what})" for limit, what in zip(limits, _LIMITS, strict=True) if limit
            )
            return f"nothing came for {said}"
        return reason(error)

    def __iter__(self) -> Iterator[Frame]:
        return iter(Background(self._read, self._cancelled)) if self._once else self._read()

    def _container(self) -> Any:
        container, self._opened = self._opened, None
        if container is None and self._once and not self._network:
            raise VideoError(f"{self.name}: can be read once only")
        return container if container is not None else self.open_container()

    def _read(self) -> Iterator[Frame]:
        with self._container() as container:
            number = 0
            stream = video_stream(container)
            clock = Clock(stream.time_base, self.rate, sort="avi" in container.format.name)
            self._end: Fraction | float = 0
            at = 0.0
            matrices: dict[Any, Matrix | None] = {}
            for frame in self._decode(container, stream, clock):
                at = clock.frame(frame.pts)
                image = self._upright(frame, number, matrices)
                if not number:
                    self._turn_aspect(next(iter(matrices.values())))
                yield Frame(image, at, f"frame {number}")
                number += 1
        self._check_end(number, max(at + 1 / float(self.rate or DEFAULT_RATE), float(self._end)))

    def _upright(self, frame: Any, number: int, matrices: dict[Any, Matrix | None]) -> NDArray[np.uint8]:
        try:
            return upright(frame, matrices)
        except av_errors() as error:
            raise VideoError(f"{self.name}: frame {number} can't be converted: {reason(error)}") from None

    def _decode(self, container: Any, stream: Any, clock: Clock) -> Iterator[Any]:
        packets = container.demux(stream)
        start: int | None = None
        number = 0
        while True:
            failure: BaseException | None = None
            packet = None
            try:
                packet = next(packets, None)
                if packet is not None and packet.size:
                    clock.packet(packet.dts)
                    if packet.pts is not None:
                        start = packet.pts if start is None else min(start, packet.pts)
                        shown_until = packet.pts - start + (packet.duration or 0)
                        self._end = max(self._end, shown_until * (stream.time_base or 0))
                frames = [] if packet is None else packet.decode()
            except av_errors() as error:
                # What the decoder still holds was read before the damage.
                failure, frames = error, self._held_back(stream)
            for frame in frames:
                yield frame
                number += 1
            if failure is not None:
                raise VideoError(
                    f"{self.name}: frame {number}{self._of()} can't be decoded: {self._told(failure)}"
                ) from None
            if packet is None:
                return

    @staticmethod
    def _held_back(stream: Any) -> list[Any]:
        try:
            return list(stream.codec_context.decode(None))
        except av_errors():
            return []

    def _check_end(self, number: int, end: float) -> None:
        if number == 0:
            raise VideoError(f"{self.name}: contains no frame that can be decoded")
        # Edit lists may leave frames out, so a smaller number alone proves nothing.
        short = self.count is None or number < self.count
        least = 0.0 if self._duration is None else 0.98 * self._duration - 2 / float(self.rate or 30)
        if short and end < least and not _is_whole_riff(self.name):
            raise VideoError(
                f"{self.name}: ends early, after frame {number - 1}{self._of()} at {end:.2f} s: "
                f"its header says {self._duration or 0:.2f} s"
            )

    def _of(self) -> str:
        return f" of {self.count}" if self.count else ""


class CameraSource(FrameSource):
    """A camera by its index, through FFmpeg's devices.

    size: (width, height) and rate: frames per second asked of it; None leaves them to its driver.
    """

    def __init__(
        self, index: int, *, size: tuple[int, int] | None = None, rate: float | Fraction | None = None
    ) -> None:
        self.name = f"camera {index}"
        self._options = {"video_size": f"{size[0]}x{size[1]}"} if size else {}
        self._options |= {"framerate": f"{float(rate):g}"} if rate else {}
        self._av = import_av()
        self._cancelled = threading.Event()
        if sys.platform.startswith("linux"):
            self._file, self._format = f"/dev/video{index}", "v4l2"
            if not Path(self._file).exists():
                raise VideoError(f"{self.name}: there is no {self._file}")
        elif sys.platform == "darwin":
            self._file, self._format = str(index), "avfoundation"
        else:
            raise VideoError(
                f"{self.name}: cameras can't be opened on {sys.platform}; pass frames to track()"
            )

    def cancel(self) -> None:
        self._cancelled.set()

    def __iter__(self) -> Iterator[Frame]:
        return iter(Background(self._read, self._cancelled))

    def _read(self) -> Iterator[Frame]:
        try:
            container = self._av.open(self._file, format=self._format, options=self._options)
        except av_errors() as error:
            raise VideoError(f"{self.name}: {self._file} can't be opened: {reason(error)}") from None
        with container:
            stream = container.streams.video[0]
            self.rate = _usable_rate(stream.average_rate)
            clock = Clock(stream.time_base, self.rate)
            frames = enumerate(container.decode(video=0))
            matrices: dict[Any, Matrix | None] = {}
            while True:
                try:
                    number, frame = next(frames, (-1, None))
                    image = upright(frame, matrices) if frame is not None else None
                except av_errors() as error:
                    raise VideoError(f"{self.name}: stopped: {reason(error)}") from None
                if image is None or frame is None:
                    return
                yield Frame(image, clock.frame(frame.pts), f"frame {number}")


_LIMITS = ("to open", "to read")


def import_av() -> Any:
    """PyAV; ImportError that names the extra where it is missing."""
    return import_extra("av", "videos need PyAV", "video")


def av_errors() -> tuple[type[BaseException], ...]:
    """What PyAV raises for files that can't be read or written: many of its classes are Python's."""
    error: type[BaseException] = import_av().error.FFmpegError
    python = (OSError, ValueError, EOFError, MemoryError, ArithmeticError, LookupError, RuntimeError)
    return (error, *python, AttributeError, AssertionError, TypeError)


def metadata_options(version: str) -> dict[str, Any]:
    """What PyAV's `open` needs so that metadata outside of UTF-8 do no harm: nothing from version 19 on."""
    major = re.match(r"\d+", version)
    return {"metadata_errors": "replace"} if major and int(major[0]) < 19 else {}


def upright(frame: Any, known: dict[Any, Matrix | None]) -> NDArray[np.uint8]:
    """The image of a PyAV frame, uint8 (H, W, 3) RGB, turned and mirrored as its display matrix says.

    Args:
        known: display matrices of earlier frames of a stream by their rotation, which is added to. To read a
            matrix keeps the frame in memory until the garbage collector comes.
    """
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    rotation = frame.rotation
    if rotation not in known:
        known[rotation] = _display_matrix(frame)
    matrix = known[rotation]
    if matrix is None:
        return image
    (a, b), (c, d) = matrix
    # The image's columns run along (a, b) on the display, its rows along (c, d).
    if _is_quarter_turn(matrix):
        turned = image.transpose(1, 0, 2)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    else:
        turned = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(turned)


def _is_quarter_turn(matrix: Matrix) -> bool:
    """Whether an image's columns run up or down on the display."""
    return abs(matrix[0][0]) < abs(matrix[0][1])


def _display_matrix(frame: Any) -> Matrix | None:
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    numbers = np.frombuffer(bytes(found), np.int32)
    if numbers.size < 9 or not numbers[[0, 1, 3, 4]].any():
        return None
    return (int(numbers[0]), int(numbers[1])), (int(numbers[3]), int(numbers[4]))


def video_stream(container: Any) -> Any:
    """The first video stream that is no cover picture; LookupError says what there is instead."""
    streams = container.streams.video
    cover = container.streams.video and type(container.streams.video[0].disposition).attached_pic
    films = [stream for stream in streams if not stream.disposition & cover]
    if films:
        return films[0]
    raise LookupError("a cover picture only" if streams else "no video stream")


def _is_file(name: str) -> bool:
    try:
        return name not in STANDARD_INPUT and stat.S_ISREG(os.stat(name).st_mode)
    except OSError:
        return False


def _is_whole_riff(name: str) -> bool:
    """Whether a file is an AVI of the length that its header says.

    A last frame that is shown long is followed by empty packets there, of which FFmpeg says nothing.
    """
    try:
        with open(name, "rb") as file:
            start = file.read(12)
            length = int.from_bytes(start[4:8], "little")
            return start[:4] == b"RIFF" and 0 < length <= os.fstat(file.fileno()).st_size - 8
    except OSError:
        return False


def _address(name: str, network: bool) -> str:
    """What FFmpeg is to open: with a prefix it takes no path for an address, whatever is in the name."""
    if network:
        return name
    if name in STANDARD_INPUT:
        return "pipe:0"
    return f"file:{name}"


def _usable_rate(rate: Any) -> Fraction | None:
    """A rate as a fraction (PyAV 19 has a type of its own for them), None for none that a video has."""
    return Fraction(rate.numerator, rate.denominator) if rate is not None and 0 < rate <= 1000 else None


def _duration(stream: Any) -> float | None:
    """Seconds from the video stream's first frame to its end, by the container's header."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    stated = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if stated and len(stated[1]) < 9:
        # Matroska's tag says when the stream ends, not how long it is: recordings may start late.
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        return int(stated[1]) * 3600 + int(stated[2]) * 60 + float(stated[3]) - max(start, 0.0)
    return None
