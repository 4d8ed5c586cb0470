"""`mobileinst.video.writer` by a shorter name."""

from .video.writer import VideoWriter

__all__ = ["VideoWriter"]
