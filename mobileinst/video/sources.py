"""Frames from videos, pipes, network streams, folders of images, single images, NumPy files and cameras.

Videos and cameras need PyAV (``pip install "mobileinst[video]"``), images need Pillow
(``pip install "mobileinst[image]"``). Frames are read one at a time and never kept.
"""

from __future__ import annotations

import os
import re
import shutil
from fractions import Fraction
from pathlib import Path

from ..io.files import local_path
from .cameras import named_source
from .frames import DEFAULT_RATE, FrameSource, VideoError, rate_fraction
from .images import IMAGE_SUFFIXES, FolderSource, ImageSource
from .pipes import FfmpegSource
from .stacks import STACK_SUFFIXES, StackSource
from .streams import OPEN_TIMEOUT, READ_TIMEOUT, STANDARD_INPUT, CameraSource, VideoSource


def open_source(
    source: str | os.PathLike[str] | int,
    *,
    rate: float | Fraction | None = None,
    camera_size: tuple[int, int] | None = None,
    open_timeout: float | None = OPEN_TIMEOUT,
    read_timeout: float | None = READ_TIMEOUT,
) -> FrameSource:
    """Open a video file or address, a pipe, a folder of images (in natural order), an image, or a camera.

    Args:
        source: path; address with ``://``; ``-`` for the standard input; index of a camera, as int or digits;
            "picamera2" or "rpicam-vid", the Raspberry Pi's camera (with the number of another one behind a
            colon); "ffmpeg:" and what the program ffmpeg is to read, which serves for videos where PyAV is
            missing, too.
        rate: frames per second that images and NumPy files stand for where these don't say, default 30; or
            asked of a camera.
        camera_size: (width, height) asked of a camera.
        open_timeout, read_timeout: seconds to wait for a network source to open, and for each next part of
            it; None waits for ever.

    Raises:
        VideoError: if there is nothing that can be read.
        ImportError: if the package that reads it is missing; the message names the extra.

    Example:
        >>> for inst in seg.track(open_source("clip.mp4").images()):   # doctest: +SKIP
        ...     print(inst)
    """
    if isinstance(source, bool) or not isinstance(source, (str, os.PathLike, int)):
        raise VideoError(f"expected a path or the index of a camera, got {type(source).__name__}")
    frame_rate = DEFAULT_RATE if rate is None else rate_fraction(rate)
    if isinstance(source, int):
        return CameraSource(_camera_index(source), size=camera_size, rate=rate)
    name = os.fsdecode(source)
    if not name or "\0" in name:
        raise VideoError(f"expected a path or the index of a camera, got {name!r}")
    camera = re.fullmatch(r"(?:/dev/video)?([0-9]{1,4})", name)
    if camera and (not _exists(name) or name.startswith("/dev/")):
        return CameraSource(int(camera[1]), size=camera_size, rate=rate)
    named = None if _exists(name) else named_source(name, camera_size, rate)
    if named is not None:
        return named
    if name in STANDARD_INPUT or ("://" in name and not name.startswith("file:") and not _exists(name)):
        return _video(name, open_timeout, read_timeout)
    path = Path(local_path(name))
    if not local_path(name) or not _exists(str(path)):
        raise VideoError(f"{name} does not exist")
    if path.is_dir():
        return FolderSource(path, frame_rate)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(path, frame_rate)
    if path.suffix.lower() in STACK_SUFFIXES:
        return StackSource(path, frame_rate)
    return _video(str(path), open_timeout, read_timeout)


def _video(name: str, open_timeout: float | None, read_timeout: float | None) -> FrameSource:
    """A video by PyAV, or where that is missing by the program ffmpeg."""
    try:
        return VideoSource(name, open_timeout=open_timeout, read_timeout=read_timeout)
    except ImportError:
        if shutil.which("ffmpeg") is None:
            raise
        if name in STANDARD_INPUT:
            return FfmpegSource("pipe:0")
        # With the prefix ffmpeg takes no file name for an address, whatever is in it.
        return FfmpegSource(f"file:{name}" if _exists(name) else name)


def _camera_index(index: int) -> int:
    if index < 0:
        raise VideoError(f"expected the index of a camera from 0 on, got {index}")
    return index


def _exists(name: str) -> bool:
    try:
        return os.path.exists(name)
    except (OSError, ValueError):
        return False
