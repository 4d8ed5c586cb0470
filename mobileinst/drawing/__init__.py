"""Instances drawn on frames."""

from .overlay import draw, track_color

__all__ = ["draw", "track_color"]
