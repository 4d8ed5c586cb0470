"""Overlays: masks, outlines, boxes, labels, trails and a legend, in colors that stay with a track."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_count
from ..results import NO_ID, Instances
from .canvas import Canvas, blend, draw_line, draw_plate, plate_size, shade
from .outline import draw_outline
from .palette import WHITE, Color, contrasting, track_color
from .text import text_coverage, text_height

_Rectangle = tuple[int, int, int, int]


def draw(image: NDArray[np.uint8], instances: Instances, **style: Any) -> NDArray[np.uint8]:
    """A copy of the image with its instances drawn on it.

    Args:
        image: uint8 (H, W, 3), RGB, the frame that the instances were found in.
        instances: what to draw; colors follow their ids, or their order where they have none.
        style: options of `Overlay`, which also draws trails through a video.

    Raises:
        TypeError, ValueError: if it is no such image, or of another size, or for a wrong option.

    Example:
        >>> image = np.zeros((2, 3, 3), np.uint8)
        >>> bool((draw(image, Instances.empty((2, 3))) == image).all())
        True
    """
    return Overlay(**style).draw(image, instances)


@dataclass
class Overlay:
    """How instances are drawn on the frames of one video.

    Args:
        masks: fill masks. outlines: draw their edges. boxes: draw boxes. labels: write id, class and score.
        legend: a list of what is visible, in the lower left corner.
        trails: over how many of the frames before to draw the way of each track; 0 for none.
        opacity: of the fill. Up: colors are stronger; down: the image shows better.

    Raises:
        ValueError: for an opacity that is not in 0..1, or trails below 0.
    """

    masks: bool = True
    outlines: bool = True
    boxes: bool = False
    labels: bool = True
    legend: bool = False
    trails: int = 0
    opacity: float = 0.4
    _ways: dict[int, deque[tuple[float, float] | None]] = field(default_factory=dict, repr=False, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be in 0..1, got {self.opacity}")
        check_count("trails", self.trails, 0)

    def draw(self, image: NDArray[np.uint8], instances: Instances) -> NDArray[np.uint8]:
        """A copy of the next frame, uint8 (H, W, 3), with its instances drawn on it."""
        instances.check_image(image)
        canvas: NDArray[np.uint8] = image.copy()
        colors = [_color(instances, i) for i in range(len(instances))]
        thickness = max(1, round(min(canvas.shape[:2]) / 250))
        # Large ones first, so that small ones in front of them stay visible.
        for i in np.argsort(-instances.areas, kind="stable"):
            x0, y0, x1, y1 = (int(edge) for edge in instances.boxes[i])
            mask = instances.mask(i)
            if self.masks:
                _fill(canvas[y0:y1, x0:x1], mask[y0:y1, x0:x1], colors[i], self.opacity)
            if self.outlines:
                draw_outline(canvas, mask, (x0, y0, x1, y1), colors[i], thickness)
            if self.boxes:
                _frame(canvas, (x0, y0, x1, y1), colors[i], thickness)
        if self.trails:
            self._draw_trails(canvas, instances, 1.5 * thickness)
        if self.labels:
            _draw_labels(canvas, instances, colors)
        if self.legend:
            _draw_legend(canvas, instances, colors)
        return canvas

    def _draw_trails(self, canvas: Canvas, instances: Instances, thickness: float) -> None:
        feet = {
            int(track): (float(box[0] + box[2]) / 2, float(box[3]))
            for track, box in zip(instances.ids, instances.boxes, strict=True)
            if track != NO_ID
        }
        for track in feet:
            self._ways.setdefault(track, deque(maxlen=self.trails + 1))
        for track, way in list(self._ways.items()):
            way.append(feet.get(track))
            points = [(age, point) for age, point in enumerate(reversed(way)) if point is not None]
            if not points:
                del self._ways[track]
                continue
            for (_, end), (age, start) in itertools.pairwise(points):
                draw_line(canvas, start, end, track_color(track), thickness, 1 - age / (self.trails + 1))


def _color(instances: Instances, i: int) -> Color:
    return track_color(int(instances.ids[i]) if instances.ids[i] != NO_ID else i + 1)


def _fill(region: NDArray[np.uint8], mask: NDArray[np.bool_], color: Color, opacity: float) -> None:
    share = round(256 * opacity)
    mixed = region[mask].astype(np.uint16) * (256 - share) + np.array(color, np.uint16) * share
    region[mask] = mixed >> 8


def _frame(canvas: Canvas, box: _Rectangle, color: Color, thickness: int) -> None:
    x0, y0, x1, y1 = box
    region = canvas[y0:y1, x0:x1]
    region[:thickness] = region[-thickness:] = color
    region[:, :thickness] = region[:, -thickness:] = color


def _draw_labels(canvas: Canvas, instances: Instances, colors: list[Color]) -> None:
    size = canvas.shape[0], canvas.shape[1]
    height = text_height(size)
    taken: list[_Rectangle] = []
    for i in range(len(instances)):
        text = instances.caption(i)
        place = _place(plate_size(text, height), instances.boxes[i], size, taken)
        taken.append(place)
        draw_plate(canvas, place[1], place[0], text, height, colors[i])


def _place(
    plate: tuple[int, int], box: NDArray[np.float32], size: tuple[int, int], taken: list[_Rectangle]
) -> _Rectangle:
    """Above the box if there is room, inside it otherwise; below labels that are there already."""
    height, width = min(plate[0], size[0]), min(plate[1], size[1])
    x0 = int(np.clip(box[0], 0, size[1] - width))
    y0 = int(np.clip(box[1] - height if box[1] >= height else box[1], 0, size[0] - height))
    for _ in taken:
        below = [t[3] for t in taken if t[0] < x0 + width and x0 < t[2] and t[1] < y0 + height and y0 < t[3]]
        if not below or max(below) + height > size[0]:
            break
        y0 = max(below)
    return x0, y0, x0 + width, y0 + height


def _draw_legend(canvas: Canvas, instances: Instances, colors: list[Color]) -> None:
    """Counts of classes, and below each of them its instances with their colors, as far as there is room."""
    size = canvas.shape[0], canvas.shape[1]
    height = text_height(size)
    step, pad = height + height // 3, height // 2
    rows: list[tuple[str, Color | None]] = []
    for name, count in Counter(instances.names).most_common():
        rows.append((f"{count} {name}", None))
        chosen = [i for i, other in enumerate(instances.names) if other == name]
        if any(instances.ids[i] != NO_ID for i in chosen):
            rows += [(f"#{instances.ids[i]}  {instances.scores[i]:.2f}", colors[i]) for i in chosen]
    room = max(1, (size[0] - 2 * pad) // step)
    if len(rows) > room:
        rows = [*rows[: room - 1], (f"and {len(rows) - room + 1} more", None)]
    if not rows:
        return
    indent = height + pad // 2
    widths = [text_coverage(text, height).shape[1] + (indent if color else 0) for text, color in rows]
    top = size[0] - len(rows) * step - pad
    shade(canvas, (0, max(top - pad // 2, 0), min(max(widths) + 2 * pad, size[1]), size[0]))
    for i, (text, color) in enumerate(rows):
        y = top + i * step
        if color is not None:
            _swatch(canvas, y, pad, height, color)
        blend(canvas, y, pad + (indent if color else 0), text_coverage(text, height), WHITE)


def _swatch(canvas: Canvas, top: int, left: int, height: int, color: Color) -> None:
    edge, side = max(1, height // 12), round(0.8 * height)
    top += (height - side) // 2
    square = np.full((side, side), 255, np.uint8)
    blend(canvas, top, left, square, contrasting(color))
    blend(canvas, top + edge, left + edge, square[2 * edge :, 2 * edge :], color)
