"""Frames from videos, folders of images, single images and cameras, and videos written from frames."""

from .live import NewestFrames
from .sources import (
    IMAGE_SUFFIXES,
    CameraSource,
    FolderSource,
    Frame,
    FrameSource,
    ImageSource,
    VideoError,
    VideoSource,
    natural_key,
    open_source,
    read_image,
)
from .writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "CameraSource",
    "FolderSource",
    "Frame",
    "FrameSource",
    "ImageSource",
    "NewestFrames",
    "VideoError",
    "VideoSource",
    "VideoWriter",
    "natural_key",
    "open_source",
    "read_image",
]
