"""Frames from videos, folders of images, single images and cameras: `open_source`.

Videos and cameras need PyAV (``pip install "mobileinst[video]"``), images need Pillow
(``pip install "mobileinst[image]"``). Frames are read one at a time and never kept.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
DEFAULT_RATE = Fraction(30)


class VideoError(ValueError):
    """A source can't be opened, ends early or is damaged; or a video can't be written."""


@dataclass(frozen=True)
class Frame:
    """image: uint8 (H, W, 3), RGB. time: seconds since the first frame. name: what to call it."""

    image: NDArray[np.uint8]
    time: float
    name: str


class FrameSource(ABC):
    """Frames of one source, lazily. Iterating again starts again (not for cameras).

    name: the source as the user called it. rate: frames per second, where the source states one. count:
    number of frames, where it is known beforehand.
    """

    name: str
    rate: Fraction | None = None
    count: int | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Read the frames; raises VideoError, naming file and frame, where that fails."""

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """The frames' images alone, as `Segmenter.track` takes them."""
        return (frame.image for frame in self)

    def cancel(self) -> None:  # noqa: B027 (most sources never wait)
        """End a running iteration soon, as if the source ended; may be called by a signal handler."""


def open_source(
    source: str | os.PathLike[str] | int,
    *,
    rate: float | Fraction | None = None,
    camera_size: tuple[int, int] | None = None,
) -> FrameSource:
    """Open a video file or address, a folder of images (in natural order), an image, or a camera.

    Args:
        source: path; address with ``://``; index of a camera, as int or digits; "picamera2" or "rpicam-vid",
            the Raspberry Pi's camera (with the number of another one behind a colon); "ffmpeg:" and what
            the program ffmpeg is to read, which serves for videos where PyAV is missing, too.
        rate: frames per second that a folder of images stands for, default 30; or asked of a camera.
        camera_size: (width, height) asked of a camera.

    Raises:
        VideoError: if there is nothing that can be read.
        ImportError: if the package that reads it is missing; the message names the extra.

    Example:
        >>> for inst in seg.track(open_source("clip.mp4").images()):   # doctest: +SKIP
        ...     print(inst)
    """
    if isinstance(source, bool) or not isinstance(source, (str, os.PathLike, int)):
        raise VideoError(f"expected a path or the index of a camera, got {type(source).__name__}")
    if isinstance(source, int) or (
        isinstance(source, str) and source.isdigit() and not Path(source).exists()
    ):
        return CameraSource(int(source), size=camera_size, rate=rate)
    if isinstance(source, str) and not Path(source).exists():
        from .cameras import named_source

        named = named_source(source, camera_size, rate)
        if named is not None:
            return named
    if isinstance(source, str) and "://" in source:
        return _video(source)
    path = Path(source)
    if not path.exists():
        raise VideoError(f"{path} does not exist")
    if path.is_dir():
        return FolderSource(path, Fraction(rate).limit_denominator(1001) if rate else DEFAULT_RATE)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(path)
    return _video(str(path))


def _video(name: str) -> FrameSource:
    """A video by PyAV, or where that is missing by the program ffmpeg."""
    try:
        return VideoSource(name)
    except ImportError:
        from .pipes import FfmpegSource

        if shutil.which("ffmpeg") is None:
            raise
        return FfmpegSource(name)


class VideoSource(FrameSource):
    """A video file or stream, by PyAV; turned upright where it carries a rotation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._av = import_av()
        with self._open() as container:
            stream = container.streams.video[0]
            self.rate = _usable_rate(stream.average_rate) or _usable_rate(stream.guessed_rate)
            self.count = int(stream.frames) or None
            self._duration = _duration(stream)

    def _open(self, **options: Any) -> Any:
        try:
            container = self._av.open(self.name, **options)
        except (OSError, ValueError) as error:
            raise VideoError(f"{self.name}: can't be opened as a video: {_reason(error)}") from None
        if not container.streams.video:
            container.close()
            raise VideoError(f"{self.name}: expected a video, found no video stream in it")
        return container

    def __iter__(self) -> Iterator[Frame]:
        with self._open() as container:
            number, end = 0, 0.0
            start: float | None = None
            base = container.streams.video[0].time_base
            for frame in self._decode(container):
                at = _time(frame, base, number, self.rate)
                start = at if start is None else start
                end = at - start + 1 / float(self.rate or DEFAULT_RATE)
                yield Frame(_upright(frame), at - start, f"frame {number}")
                number += 1
        self._check_end(number, end)

    def _decode(self, container: Any) -> Iterator[Any]:
        stream = container.streams.video[0]
        packets = container.demux(stream)
        number = 0
        while True:
            failure = None
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except (OSError, ValueError) as error:
                # What the decoder still holds was read before the damage.
                failure, frames = error, self._held_back(stream)
            for frame in frames:
                yield frame
                number += 1
            if failure is not None:
                raise VideoError(
                    f"{self.name}: frame {number}{self._of()} can't be decoded: {_reason(failure)}"
                ) from None
            if packet is None:
                return

    @staticmethod
    def _held_back(stream: Any) -> list[Any]:
        try:
            return list(stream.codec_context.decode(None))
        except (OSError, ValueError):
            return []

    def _check_end(self, number: int, end: float) -> None:
        if number == 0:
            raise VideoError(f"{self.name}: contains no frame that can be decoded")
        # Edit lists may leave frames out, so a smaller number alone proves nothing.
        short = self.count is None or number < self.count
        if short and self._duration is not None and end < 0.98 * self._duration - 2 / float(self.rate or 30):
            raise VideoError(
                f"{self.name}: ends early, after frame {number - 1}{self._of()} at {end:.2f} s: "
                f"its header says {self._duration:.2f} s"
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

    def __iter__(self) -> Iterator[Frame]:
        try:
            container = self._av.open(self._file, format=self._format, options=self._options)
        except (OSError, ValueError) as error:
            raise VideoError(f"{self.name}: {self._file} can't be opened: {_reason(error)}") from None
        with container:
            self.rate = _usable_rate(container.streams.video[0].average_rate)
            start: float | None = None
            base = container.streams.video[0].time_base
            frames = enumerate(container.decode(video=0))
            while True:
                try:
                    number, frame = next(frames, (-1, None))
                except (OSError, ValueError) as error:
                    raise VideoError(f"{self.name}: stopped: {_reason(error)}") from None
                if frame is None:
                    return
                at = _time(frame, base, number, self.rate)
                start = at if start is None else start
                yield Frame(_upright(frame), at - start, f"frame {number}")


class FolderSource(FrameSource):
    """The images of a folder in natural order (2 before 10)."""

    def __init__(self, path: Path, rate: Fraction = DEFAULT_RATE) -> None:
        self.name = str(path)
        self.rate = rate
        self.paths = sorted(
            (p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")),
            key=lambda p: natural_key(p.name),
        )
        if not self.paths:
            raise VideoError(f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none")
        self.count = len(self.paths)
        _import_pillow()

    def __iter__(self) -> Iterator[Frame]:
        for number, path in enumerate(self.paths):
            yield Frame(read_image(path), float(number / (self.rate or DEFAULT_RATE)), path.name)


class ImageSource(FrameSource):
    """One image."""

    count = 1

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        _import_pillow()

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(read_image(self._path), 0.0, self._path.name)


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an image by Pillow as uint8 (H, W, 3) RGB, turned upright as its Exif data say.

    Raises:
        VideoError: if there is no such file or it is no image that Pillow can read.
    """
    image_module, ops_module = _import_pillow()
    try:
        with image_module.open(path) as opened:
            image = ops_module.exif_transpose(opened)
            if image.mode.startswith("I;16") or image.mode == "I":
                return np.repeat((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise VideoError(f"{path} does not exist") from None
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise VideoError(f"{path}: can't be read as an image: {_reason(error)}") from None


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key by which numbers in names count as numbers: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def import_av() -> Any:
    """PyAV; ImportError that names the extra where it is missing."""
    try:
        import av
    except ImportError as error:
        raise ImportError(f'videos need PyAV: pip install "mobileinst[video]" ({error})') from None
    return av


def _import_pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(f'images need Pillow: pip install "mobileinst[image]" ({error})') from None
    return Image, ImageOps


def _time(frame: Any, base: Fraction | None, number: int, rate: Fraction | None) -> float:
    """Seconds by the stream's clock (frames flushed from the decoder carry none themselves), or by count."""
    if frame.pts is not None and base:
        return float(frame.pts * base)
    return float(number / (rate or DEFAULT_RATE))


def _upright(frame: Any) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _usable_rate(rate: Fraction | None) -> Fraction | None:
    return rate if rate is not None and 0 < rate <= 1000 else None


def _duration(stream: Any) -> float | None:
    """Seconds from the video stream's first frame to its end, by the container's header."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    stated = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if stated:
        # Matroska's tag says when the stream ends, not how long it is: recordings may start late.
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        return int(stated[1]) * 3600 + int(stated[2]) * 60 + float(stated[3]) - max(start, 0.0)
    return None


def _reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0]


__all__ = [
    "IMAGE_SUFFIXES",
    "CameraSource",
    "FolderSource",
    "Frame",
    "FrameSource",
    "ImageSource",
    "VideoError",
    "VideoSource",
    "open_source",
    "read_image",
]
