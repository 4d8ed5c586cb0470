"""`mobileinst report`: one page about a tracked video."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make one page (HTML) about a tracked video: frames, tracks, scores, counts, times"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ..arguments import parse_count

    parser.add_argument("lines", type=Path, metavar="JSONL", help="what `track --json` wrote")
    parser.add_argument("--video", required=True, metavar="SOURCE", help="the video or folder tracked")
    parser.add_argument("-o", "--output", type=Path, metavar="HTML", help="the page (JSONL with .html)")
    parser.add_argument("--timings", type=Path, metavar="JSON", help="what `track --timings` wrote")
    parser.add_argument(
        "--frames", type=parse_count, default=24, metavar="N", help="frames of the video that it shows (24)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def run(options: argparse.Namespace) -> int:
    from ...io.files import check_outputs
    from ...report import write_report
    from ...report.write import read_stages

    output = options.output or options.lines.with_suffix(".html")
    check_outputs([output], [options.timings] if options.timings else [])
    stages = read_stages(options.timings) if options.timings else None
    write_report(options.lines, options.video, output, stages=stages, frames=options.frames)
    if not options.quiet:
        print(f"{options.lines} -> {output}")
    return 0
