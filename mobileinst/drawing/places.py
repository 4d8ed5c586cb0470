"""Lines and zones with their counts, drawn on frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_frame
from .canvas import Canvas, draw_cased_line, draw_plate, plate_size
from .palette import WHITE
from .text import text_height

if TYPE_CHECKING:
    from ..zones import ZoneCounter


def draw_places(image: NDArray[np.uint8], counter: ZoneCounter) -> NDArray[np.uint8]:
    """A copy of the image with the counter's lines, their direction "in" as an arrow, zones and counts."""
    canvas: NDArray[np.uint8] = check_frame(image).copy()
    size = canvas.shape[0], canvas.shape[1]
    height, thickness = text_height(size), max(1.0, min(size) / 300)
    captions = iter(counter.captions())
    for line in counter.lines:
        start, end = line.points(size)
        draw_cased_line(canvas, start.tolist(), end.tolist(), WHITE, thickness)
        _draw_arrow(canvas, start, end, thickness, height)
        _write(canvas, start + 0.85 * (end - start), next(captions), height)
    for zone in counter.zones:
        corners = zone.points(size)
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
            draw_cased_line(canvas, a.tolist(), b.tolist(), WHITE, thickness)
        _write(canvas, corners[np.lexsort(corners.T)[0]], next(captions), height)
    return canvas


def _draw_arrow(
    canvas: Canvas, start: NDArray[np.float64], end: NDArray[np.float64], thickness: float, length: int
) -> None:
    """From a quarter of the line to its right, where "in" leads."""
    along = (end - start) / np.hypot(*(end - start))
    right = np.array([-along[1], along[0]])
    foot = start + (end - start) / 4
    tip = foot + right * 1.5 * length
    for back in (foot, tip - (right + along) * length / 2, tip - (right - along) * length / 2):
        draw_cased_line(canvas, back.tolist(), tip.tolist(), WHITE, thickness)


def _write(canvas: Canvas, middle: NDArray[np.float64], text: str, height: int) -> None:
    rows, columns = plate_size(text, height)
    left = int(np.clip(middle[0] - columns / 2, 0, max(canvas.shape[1] - columns, 0)))
    top = int(np.clip(middle[1] - rows / 2, 0, max(canvas.shape[0] - rows, 0)))
    draw_plate(canvas, top, left, text, height, WHITE)
