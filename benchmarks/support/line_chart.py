"""Small line charts as SVG: panels side by side, one line per series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

#: Okabe and Ito: colours that stay apart for the colour-blind.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_SIZE, _LEFT, _TOP, _GAP, _BELOW = 190, 50, 30, 22, 46


@dataclass(frozen=True)
class Panel:
    """title, and a list of values (one for each x) for each series; None leaves a point out."""

    title: str
    series: Mapping[str, Sequence[float | None]]


def line_charts(title: str, x_label: str, xs: Sequence[float], rows: Sequence[Sequence[Panel]]) -> str:
    """A picture of rows of panels with a common x axis, whose points are evenly spaced, and one legend."""
    names = list(dict.fromkeys(name for row in rows for panel in row for name in panel.series))
    columns = max(len(row) for row in rows)
    width = columns * (_SIZE + _LEFT + _GAP) + 16
    height = len(rows) * (_SIZE + _TOP + _BELOW) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    x = 16.0
    for name, color in zip(names, COLORS, strict=False):
        parts.append(f'<path d="M{x:g} 40h20" stroke="{color}" stroke-width="2.5"/>')
        parts.append(f'<text x="{x + 26:g}" y="44">{escape(name)}</text>')
        x += 48 + 6.2 * len(name)
    for j, row in enumerate(rows):
        for i, panel in enumerate(row):
            left = i * (_SIZE + _LEFT + _GAP) + _LEFT
            top = j * (_SIZE + _TOP + _BELOW) + 56 + _TOP
            parts += _panel(panel, left, top, x_label, xs, names)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Panel, left: int, top: int, x_label: str, xs: Sequence[float], names: Sequence[str]
) -> list[str]:
    values = [v for series in panel.series.values() for v in series if v is not None]
    ticks = nice_ticks(min([0.0, *values]), max([*values, 0.0]))
    low, high = ticks[0], ticks[-1]

    def at(i: int, value: float) -> tuple[float, float]:
        x = left + (i + 0.5) * _SIZE / len(xs)
        return x, top + _SIZE * (1 - (value - low) / (high - low))

    parts = [
        f'<text x="{left}" y="{top - 10}" font-size="12" font-weight="600">{escape(panel.title)}</text>',
        f'<rect x="{left}" y="{top}" width="{_SIZE}" height="{_SIZE}" fill="#fafafa" stroke="#bbb"/>',
    ]
    for tick in ticks:
        y = at(0, tick)[1]
        parts.append(f'<path d="M{left} {y:.1f}h{_SIZE}" stroke="#e6e6e6"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i, x in enumerate(xs):
        parts.append(
            f'<text x="{at(i, low)[0]:.1f}" y="{top + _SIZE + 14}" text-anchor="middle">{x:g}</text>'
        )
    place = f'x="{left + _SIZE / 2:g}" y="{top + _SIZE + 28}" text-anchor="middle"'
    parts.append(f'<text {place} fill="#666">{escape(x_label)}</text>')
    for name, color in zip(names, COLORS, strict=False):
        points = [at(i, v) for i, v in enumerate(panel.series.get(name, ())) if v is not None]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
    return parts


def nice_ticks(low: float, high: float) -> list[float]:
    """About five round numbers that span low..high."""
    if high <= low:
        high = low + 1
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]
