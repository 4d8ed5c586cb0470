"""Instances drawn on frames."""

from .overlay import Overlay, draw
from .palette import track_color

__all__ = ["Overlay", "draw", "track_color"]
