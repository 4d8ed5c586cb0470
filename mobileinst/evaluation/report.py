"""Evaluations as text tables and as pictures of precision over recall (SVG, no plotting library)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ..io.tables import text_table
from ..io.terminal import printable
from .matching import RECALL_POINTS
from .summary import STATISTICS, Evaluation

_COLUMNS = STATISTICS[:9]


def percent(value: float) -> str:
    """A statistic in percent with one decimal; "-" where nothing could be measured."""
    return "-" if value < 0 else f"{100 * value:.1f}"


def evaluation_table(evaluation: Evaluation) -> str:
    """The statistics, in percent, of all classes together and of each one that has objects.

    F1 is the greatest at IoU 0.5, and the score threshold beside it the one that gives it.
    """
    rows = [["class", "objects", "predicted", *_COLUMNS, "F1", "at score"]]
    measured = [k for k, objects in enumerate(evaluation.objects) if objects]
    for k in measured:
        name = evaluation.classes[k]
        values = [percent(evaluation.per_class[name][column]) for column in _COLUMNS]
        f1, threshold = evaluation.best_f1(name)
        values += [percent(f1), f"{threshold:.2f}"]
        rows.append([name, str(evaluation.objects[k]), str(evaluation.predictions[k]), *values])
    if len(measured) == 1:
        return text_table(rows)
    totals = [str(sum(evaluation.objects)), str(sum(evaluation.predictions))]
    rows.append(["all", *totals, *(percent(evaluation[column]) for column in _COLUMNS), "", ""])
    return text_table(rows)


# Colors that stay apart for the color-blind (Okabe and Ito).
_CURVES = (
    (0.5, "IoU 0.50", "#0072b2"),
    (0.75, "IoU 0.75", "#d55e00"),
    (None, "mean of 0.50 to 0.95", "#009e73"),
)
_PLOT, _LEFT, _TOP, _GAP_X, _GAP_Y, _HEAD = 180, 44, 40, 28, 52, 56


def precision_recall_svg(evaluation: Evaluation, title: str = "Precision over recall") -> str:
    """A picture with one panel for all classes together and one for each class that has objects."""
    panels = [
        (name, evaluation.per_class[name], [evaluation.curve(name, iou) for iou, _, _ in _CURVES])
        for k, name in enumerate(evaluation.classes)
        if evaluation.objects[k]
    ]
    if len(panels) != 1:
        means = [
            np.mean([curves[i] for _, _, curves in panels], axis=0)
            if panels
            else np.zeros(len(RECALL_POINTS))
            for i in range(len(_CURVES))
        ]
        panels.insert(0, ("all classes", dict(evaluation), means))
    columns = min(len(panels), 4 if len(panels) <= 24 else 8)
    rows = -(-len(panels) // columns)
    width = max(columns * (_PLOT + _LEFT + _GAP_X) + 16, 480)
    height = rows * (_PLOT + _TOP + _GAP_Y) + _HEAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600">{escape(printable(title))}</text>',
        *_legend(16, 44),
    ]
    for number, (name, stats, curves) in enumerate(panels):
        x = (number % columns) * (_PLOT + _LEFT + _GAP_X) + _LEFT
        y = (number // columns) * (_PLOT + _TOP + _GAP_Y) + _HEAD + _TOP
        parts += _panel(x, y, name, stats, curves)
    return "\n".join([*parts, "</svg>", ""])


def _legend(x: float, y: float) -> list[str]:
    parts = []
    for _, label, color in _CURVES:
        parts.append(f'<path d="M{x} {y - 4}h20" stroke="{color}" stroke-width="2.5"/>')
        parts.append(f'<text x="{x + 26}" y="{y}">{label}</text>')
        x += 48 + 6.2 * len(label)
    return parts


def _panel(
    x: int, y: int, name: str, stats: dict[str, float], curves: Sequence[NDArray[np.float64]]
) -> list[str]:
    parts = [
        f'<text x="{x}" y="{y - 22}" font-size="12.5" font-weight="600">{escape(printable(name))}</text>',
        f'<text x="{x}" y="{y - 8}" fill="#666">AP {percent(stats["AP"])}   AP50 {percent(stats["AP50"])}   '
        f"AP75 {percent(stats['AP75'])}</text>",
        f'<rect x="{x}" y="{y}" width="{_PLOT}" height="{_PLOT}" fill="#fafafa" stroke="#bbb"/>',
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        at = tick * _PLOT
        if 0 < tick < 1:
            parts.append(f'<path d="M{x + at:g} {y}v{_PLOT}M{x} {y + at:g}h{_PLOT}" stroke="#e6e6e6"/>')
        if tick in (0, 0.5, 1):
            parts.append(f'<text x="{x + at:g}" y="{y + _PLOT + 14}" text-anchor="middle">{tick:g}</text>')
            parts.append(f'<text x="{x - 6}" y="{y + _PLOT - at + 4:g}" text-anchor="end">{tick:g}</text>')
    middle = f'x="{x + _PLOT / 2:g}" y="{y + _PLOT + 28}" text-anchor="middle" fill="#666"'
    parts.append(f"<text {middle}>recall</text>")
    turned = f'transform="translate({x - 28} {y + _PLOT / 2:g}) rotate(-90)" text-anchor="middle" fill="#666"'
    parts.append(f"<text {turned}>precision</text>")
    for (_, _, color), curve in zip(_CURVES, curves, strict=True):
        # Beyond the recall that is reached, precision is 0 by definition; the line ends where it drops.
        end = int(np.flatnonzero(curve > 0)[-1]) + 2 if (curve > 0).any() else 0
        points = " ".join(
            f"{x + r * _PLOT:.1f},{y + (1 - p) * _PLOT:.1f}"
            for r, p in zip(RECALL_POINTS[:end], np.maximum(curve, 0)[:end], strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )
    return parts
