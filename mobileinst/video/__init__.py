"""Frames from videos, folders of images, single images and cameras, and videos written from frames."""

from .frames import Frame, FrameSource, VideoError
from .images import IMAGE_SUFFIXES, FolderSource, ImageSource, natural_key, read_image
from .live import NewestFrames
from .sources import open_source
from .stacks import StackSource
from .streams import CameraSource, VideoSource
from .writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "CameraSource",
    "FolderSource",
    "Frame",
    "FrameSource",
    "ImageSource",
    "NewestFrames",
    "StackSource",
    "VideoError",
    "VideoSource",
    "VideoWriter",
    "natural_key",
    "open_source",
    "read_image",
]
