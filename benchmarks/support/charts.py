"""Results as pictures (SVG) by Matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("charts need Matplotlib: pip install matplotlib") from error

# Text stays text, and the same numbers give the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mobileinst", "font.size": 9})

#: Okabe and Ito: colors that stay apart for the color-blind.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_OURS, _OTHERS = "#1a7f5a", "#9aa5b1"

__all__ = ["Figure", "Panel", "bar_chart", "line_charts", "save"]


@dataclass(frozen=True)
class Panel:
    """Title, and a list of values (one for each x) for each series; None leaves a point out."""

    title: str
    series: Mapping[str, Sequence[float | None]]


def save(figure: Figure, path: Path) -> None:
    """Write a figure; its kind follows the file's name."""
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def bar_chart(cases: Sequence[Mapping[str, Any]], foot: str) -> Figure:
    """Median times of every contestant of each case of `peers` or `frame`, fastest first."""
    counts = [len(case["results"]) for case in cases]
    figure = Figure(figsize=(8, 0.6 + 0.28 * sum(counts) + 0.5 * len(cases)), layout="constrained")
    axes = figure.subplots(len(cases), squeeze=False, sharex=True, height_ratios=[n + 0.5 for n in counts])
    for axis, case in zip(axes[:, 0], cases, strict=True):
        results = sorted(case["results"].items(), key=lambda item: float(item[1]["median_ms"]))
        names = [name for name, _ in results]
        colors = [_OURS if name.startswith("mobileinst") else _OTHERS for name in names]
        bars = axis.barh(names, [x["median_ms"] for _, x in results], color=colors, height=0.75)
        axis.bar_label(bars, fmt="%.1f ms", padding=4)
        axis.set_title(case["label"], loc="left", fontweight="bold")
        if case.get("ratio"):
            axis.set_title(f"{case['ratio']:.2f} x the fastest other", loc="right", color=_OURS)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.tick_params(length=0, labelbottom=False)
        axis.spines[:].set_visible(False)
    figure.supxlabel(foot, x=0.01, ha="left", color="#616e7c", fontsize="small")
    return figure


def line_charts(title: str, x_label: str, xs: Sequence[float], rows: Sequence[Sequence[Panel]]) -> Figure:
    """Rows of panels with a common x axis, whose points are evenly spaced, and one legend."""
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(2.6 * columns, 2.6 * len(rows) + 0.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    handles: dict[str, Any] = {}
    for axes, row in zip(grid, rows, strict=True):
        for axis in axes[len(row) :]:
            axis.set_visible(False)
        for axis, panel in zip(axes, row, strict=False):
            for name, values in panel.series.items():
                color = COLORS[list(handles).index(name) if name in handles else len(handles)]
                points = [float("nan") if value is None else value for value in values]
                (handles[name],) = axis.plot(points, "o-", color=color, markersize=4, label=name)
            axis.set_title(panel.title, loc="left", fontsize="small", fontweight="bold")
            axis.set_xticks(range(len(xs)), [f"{x:g}" for x in xs])
            axis.set_xlabel(x_label, color="#666666")
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
            axis.grid(axis="y", color="#e6e6e6")
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles))
    return figure
