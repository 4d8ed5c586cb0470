"""Shapes of annotation tools as polygons [x0, y0, x1, y1, ...]."""

from __future__ import annotations

import math

#: Corners of what is round.
_CORNERS = 48


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """A rectangle by two corners."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def circle(x: float, y: float, radius_x: float, radius_y: float, turned: float = 0.0) -> list[float]:
    """A circle or ellipse about (x, y), turned by an angle in radians."""
    points = []
    for i in range(_CORNERS):
        angle = 2 * math.pi * i / _CORNERS
        dx, dy = radius_x * math.cos(angle), radius_y * math.sin(angle)
        points += [x + dx * math.cos(turned) - dy * math.sin(turned)]
        points += [y + dx * math.sin(turned) + dy * math.cos(turned)]
    return points
