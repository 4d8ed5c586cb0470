"""Anti-aliased lines, text and panels on images uint8 (H, W, 3), in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .palette import Color, contrasting
from .text import text_coverage

Canvas = NDArray[np.uint8]


def blend(canvas: Canvas, top: int, left: int, coverage: NDArray[np.uint8], color: Color) -> None:
    """Mix a color in by its coverage, uint8 (h, w), 255 for all of it; what lies outside is cut off."""
    height, width = coverage.shape
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + height, canvas.shape[0]), min(left + width, canvas.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    region = canvas[y0:y1, x0:x1]
    share = coverage[y0 - top : y1 - top, x0 - left : x1 - left, None].astype(np.uint16)
    mixed = region * (255 - share) + np.array(color, np.uint16) * share
    region[:] = (mixed + 127) // 255


def draw_line(
    canvas: Canvas,
    start: Sequence[float],
    end: Sequence[float],
    color: Color,
    thickness: float,
    opacity: float = 1.0,
) -> None:
    """A line with round ends from one point (x, y) to another, in pixels."""
    a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
    reach = thickness / 2 + 1
    low = np.floor(np.minimum(a, b) - reach).astype(int).clip(0)
    high = np.ceil(np.maximum(a, b) + reach).astype(int)
    x0, y0, x1, y1 = *low, min(high[0], canvas.shape[1]), min(high[1], canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5) - a[0]
    y = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5) - a[1])[:, None]
    along = b - a
    share = ((x * along[0] + y * along[1]) / max(float(along @ along), 1e-6)).clip(0, 1)
    distance = np.hypot(x - share * along[0], y - share * along[1])
    coverage = (thickness / 2 + 0.5 - distance).clip(0, 1) * (255 * opacity)
    blend(canvas, y0, x0, coverage.round().astype(np.uint8), color)


def draw_cased_line(
    canvas: Canvas, start: Sequence[float], end: Sequence[float], color: Color, thickness: float
) -> None:
    """A line within a wider one in the contrasting color, so that it shows on any background."""
    draw_line(canvas, start, end, contrasting(color), 2 * thickness)
    draw_line(canvas, start, end, color, thickness)


def plate_size(text: str, height: int) -> tuple[int, int]:
    """(height, width) in pixels of a plate with text of that height on it."""
    pad = max(1, height // 5)
    return height + 2 * (pad // 2), text_coverage(text, height).shape[1] + 2 * pad


def draw_plate(canvas: Canvas, top: int, left: int, text: str, height: int, color: Color) -> None:
    """Text in black or white on a plate of a color, its upper left corner at (top, left)."""
    pad = max(1, height // 5)
    rows, columns = plate_size(text, height)
    canvas[max(top, 0) : max(top + rows, 0), max(left, 0) : max(left + columns, 0)] = color
    blend(canvas, top + pad // 2, left + pad, text_coverage(text, height), contrasting(color))


def shade(canvas: Canvas, box: tuple[int, int, int, int], opacity: float = 0.6) -> None:
    """Darken x0, y0, x1, y1, so that text stands out there."""
    x0, y0, x1, y1 = box
    region = canvas[y0:y1, x0:x1]
    region[:] = (region * np.float32(1 - opacity)).astype(np.uint8)
