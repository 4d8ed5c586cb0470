"""Cameras by name: picamera2, rpicam-vid, and whatever ffmpeg reads."""

from __future__ import annotations

import re
from fractions import Fraction

from .frames import FrameSource
from .picamera import Picamera2Source
from .pipes import FfmpegSource, RpicamSource

#: What cameras give unless asked for something else: (width, height), and frames per second.
CAMERA_SIZE, CAMERA_RATE = (1280, 720), Fraction(30)

_NAME = re.compile(r"(picamera2|rpicam-vid|ffmpeg)(?::(.*))?", re.DOTALL)


def named_source(
    name: str, size: tuple[int, int] | None = None, rate: float | Fraction | None = None
) -> FrameSource | None:
    """The source of a name such as "picamera2", "picamera2:1", "rpicam-vid", "ffmpeg:clip.mp4"; else None.

    Args:
        name: kind of source, and behind a colon the camera's number, or what ffmpeg is to read.
        size: (width, height) asked of a camera. rate: frames per second asked of it.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind, rest = match[1], match[2] or ""
    if kind == "ffmpeg":
        return FfmpegSource(rest) if rest else None
    if not re.fullmatch(r"[0-9]{0,3}", rest):
        return None
    camera = Picamera2Source if kind == "picamera2" else RpicamSource
    return camera(int(rest or 0), size=size or CAMERA_SIZE, rate=rate or CAMERA_RATE)
