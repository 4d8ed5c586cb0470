"""Draw a result of peers.py or frame.py as bars, in an SVG file that needs no library to make or to see.

python benchmarks/plot.py peers.json peers.svg
python benchmarks/plot.py peers.json peers.svg --cases "640x640 model"
"""

from __future__ import annotations

import argparse
import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from support.command import run

_WIDTH, _BAR, _GAP, _NAMES, _VALUES = 720, 20, 6, 150, 70
_OURS, _OTHERS, _TEXT, _WEAK = "#1a7f5a", "#9aa5b1", "#1f2933", "#616e7c"


def text(
    x: float, y: float, words: str, *, color: str = _TEXT, anchor: str = "start", bold: bool = False
) -> str:
    """A line of text whose baseline is at y."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{color}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def bars(case: dict[str, Any], top: float, longest: float) -> tuple[list[str], float]:
    """Elements of one case, fastest contestant first, and the height where the next may begin.

    Args:
        longest: Milliseconds of the longest bar in the drawing.
    """
    parts = [text(0, top + 16, case["label"], bold=True)]
    if case.get("ratio"):
        parts.append(
            text(_WIDTH, top + 16, f"{case['ratio']:.2f} x the fastest other", anchor="end", color=_OURS)
        )
    y = top + 26
    for name, x in sorted(case["results"].items(), key=lambda item: item[1]["median_ms"]):
        color = _OURS if name.startswith("mobileinst") else _OTHERS
        length = (_WIDTH - _NAMES - _VALUES) * x["median_ms"] / longest
        parts.append(text(_NAMES - 8, y + 15, name, anchor="end"))
        parts.append(
            f'<rect x="{_NAMES}" y="{y:g}" width="{length:.1f}" height="{_BAR}" fill="{color}" rx="2"/>'
        )
        parts.append(text(_NAMES + length + 6, y + 15, f"{x['median_ms']:.1f} ms"))
        y += _BAR + _GAP
    return parts, y + 14


def draw(document: dict[str, Any], wanted: list[str] | None = None) -> str:
    """The whole drawing.

    Args:
        wanted: Parts of the labels of the cases to draw, instead of all.

    Raises:
        ValueError: if a wanted case isn't there or nothing was measured.
    """
    cases = [case for case in document["cases"] if case["results"]]
    if wanted:
        labels = [case["label"] for case in cases]
        missing = [words for words in wanted if not any(words in label for label in labels)]
        if missing:
            raise ValueError(f"no results for {missing}; there are {labels}")
        cases = [case for case in cases if any(words in case["label"] for words in wanted)]
    if not cases:
        raise ValueError("the file holds no results")
    longest = max(x["median_ms"] for case in cases for x in case["results"].values())
    body: list[str] = []
    y = 8.0
    for case in cases:
        parts, y = bars(case, y, longest)
        body += parts
    machine = document["machine"]
    foot = f"Median of interleaved runs, fp32. {machine['cpu']}, {document['date']}."
    body.append(text(0, y + 8, foot, color=_WEAK))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {_WIDTH + 24} {y + 20:g}" '
        f'font-family="system-ui, sans-serif" font-size="13">\n'
        f'<rect x="-12" width="{_WIDTH + 24}" height="{y + 20:g}" fill="#ffffff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="JSON file of peers.py or frame.py")
    parser.add_argument("output", type=Path, help="SVG file")
    parser.add_argument("--cases", nargs="+", help="parts of the labels of the cases to draw")
    options = parser.parse_args()
    try:
        drawing = draw(json.loads(options.results.read_text(encoding="utf-8")), options.cases)
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{options.results}: not a result that can be drawn: {error}")
    options.output.write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    run(main)
