"""Lines and zones in a picture, and how they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..masks.polygons import contains

Point = tuple[float, float]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)%?"


@dataclass(frozen=True)
class Line:
    """A line that tracks cross: "in" from the left to the right of who walks from its start to its end.

    start, end: x and y in pixels, or with `relative` in shares of the frame's width and height.

    Raises:
        ValueError: if start and end are one point.
    """

    start: Point
    end: Point
    name: str = "line"
    relative: bool = False

    def __post_init__(self) -> None:
        if tuple(self.start) == tuple(self.end):
            raise ValueError(f"line {self.name}: expected two different points, got {self.start} twice")

    def points(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Start and end in pixels of a frame of (height, width), float64 (2, 2)."""
        return _pixels([self.start, self.end], size, self.relative)

    def side(self, point: NDArray[np.float64], size: tuple[int, int]) -> float:
        """Distance of a point from the line, drawn on without end, in pixels: above 0 on its right."""
        along = self._along(size)
        away = point - self.points(size)[0]
        return float((along[0] * away[1] - along[1] * away[0]) / np.hypot(*along))

    def meets(self, a: NDArray[np.float64], b: NDArray[np.float64], size: tuple[int, int]) -> bool:
        """Whether the way from a to b crosses the line between its ends."""
        before, after = self.side(a, size), self.side(b, size)
        if (before >= 0) == (after >= 0):
            return False
        start, along = self.points(size)[0], self._along(size)
        at = a + before / (before - after) * (b - a)
        return bool(0 <= (at - start) @ along <= along @ along)

    def _along(self, size: tuple[int, int]) -> NDArray[np.float64]:
        start, end = self.points(size)
        along: NDArray[np.float64] = end - start
        return along


@dataclass(frozen=True)
class Zone:
    """An area that tracks are in or not.

    polygon: at least 3 corners x, y in pixels, or with `relative` in shares of the frame's width and height.
    Where it overlaps itself the even-odd rule holds.

    Raises:
        ValueError: for fewer corners, or all of them on one line.
    """

    polygon: Sequence[Point]
    name: str = "zone"
    relative: bool = False

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:
            raise ValueError(f"zone {self.name}: expected at least 3 corners, got {len(self.polygon)}")
        x, y = (np.asarray(self.polygon, np.float64) - self.polygon[0]).T
        if not (np.outer(x, y) - np.outer(y, x)).any():
            raise ValueError(f"zone {self.name}: expected an area, its corners lie on one line")

    def points(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """The corners in pixels of a frame of (height, width), float64 (k, 2)."""
        return _pixels(self.polygon, size, self.relative)

    def holds(self, point: NDArray[np.float64], size: tuple[int, int]) -> bool:
        """Whether a point lies inside."""
        return bool(contains(self.points(size), point))


def parse_line(text: str, name: str = "line") -> Line:
    """A line from text: ``x0,y0,x1,y1`` or ``NAME:x0,y0,x1,y1``, all in pixels or all in per cent.

    Raises:
        ValueError: for another form.

    Example:
        >>> parse_line("door: 0,50%,100%,50%")
        Line(start=(0.0, 0.5), end=(1.0, 0.5), name='door', relative=True)
    """
    name, points, relative = _parse(text, name, "a line as x0,y0,x1,y1 in pixels or per cent")
    if len(points) != 2:
        raise ValueError(f"expected a line as x0,y0,x1,y1, got {text!r}")
    return Line(points[0], points[1], name, relative)


def parse_zone(text: str, name: str = "zone") -> Zone:
    """A zone from text: ``x0,y0,x1,y1,x2,y2,...``; as for `parse_line`."""
    name, points, relative = _parse(text, name, "a zone as x0,y0,x1,y1,x2,y2 in pixels or per cent")
    if len(points) < 3:
        raise ValueError(f"expected a zone of at least 3 corners as x0,y0,x1,y1,x2,y2, got {text!r}")
    return Zone(tuple(points), name, relative)


def _parse(text: str, name: str, expected: str) -> tuple[str, list[Point], bool]:
    own, colon, rest = text.rpartition(":")
    numbers = [number for number in re.split(r"[\s,;]+", rest.strip()) if number]
    if not numbers or len(numbers) % 2 or not all(re.fullmatch(_NUMBER, number) for number in numbers):
        raise ValueError(f"expected {expected}, got {text!r}")
    # 0 is 0 in both units.
    relative = any(number.endswith("%") for number in numbers)
    if relative and any(float(n) for n in numbers if not n.endswith("%")):
        raise ValueError(f"expected all numbers in pixels or all in per cent, got {text!r}")
    values = [float(number.rstrip("%")) / (100 if relative else 1) for number in numbers]
    return (own.strip() if colon else name), list(zip(values[::2], values[1::2], strict=True)), relative


def _pixels(points: Sequence[Point], size: tuple[int, int], relative: bool) -> NDArray[np.float64]:
    scale = (size[1], size[0]) if relative else (1, 1)
    return np.asarray(points, np.float64) * scale
