"""Draw a result of `peers` or `frame` as bars.

python -m benchmarks.plot peers.json peers.svg
python -m benchmarks.plot peers.json peers.svg --cases "640x640 model"
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.support import charts
from benchmarks.support.command import make_parser, run


def chosen_cases(document: dict[str, Any], wanted: list[str] | None = None) -> list[dict[str, Any]]:
    """The cases to draw.

    Args:
        wanted: Parts of their labels; None for all.

    Raises:
        ValueError: if a wanted case isn't there or nothing was measured.
    """
    cases: list[dict[str, Any]] = [case for case in document["cases"] if case["results"]]
    if wanted:
        labels = [case["label"] for case in cases]
        missing = [words for words in wanted if not any(words in label for label in labels)]
        if missing:
            raise ValueError(f"no results for {missing}; there are {labels}")
        cases = [case for case in cases if any(words in case["label"] for words in wanted)]
    if not cases:
        raise ValueError("the file holds no results")
    return cases


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, help="JSON file of peers or frame")
    parser.add_argument("output", type=Path, help="picture to write: .svg, .png or .pdf")
    parser.add_argument("--cases", nargs="+", help="parts of the labels of the cases to draw")
    options = parser.parse_args()
    try:
        document = json.loads(options.results.read_text(encoding="utf-8"))
        cases = chosen_cases(document, options.cases)
        foot = f"Median of interleaved runs, fp32. {document['machine']['cpu']}, {document['date']}."
        figure = charts.bar_chart(cases, foot)
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{options.results}: not a result that can be drawn: {error}")
    charts.save(figure, options.output)


if __name__ == "__main__":
    run(main)
