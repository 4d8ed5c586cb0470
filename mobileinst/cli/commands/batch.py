"""`mobileinst batch`: many sources into a folder."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import add_drawing, add_model, add_score, add_tracking, parse_count, parse_number

if TYPE_CHECKING:
    from ...batch.options import Options
    from ...batch.run import BatchReport, Workers


HELP = "track many sources into a folder, on all cores or machines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ...export import export_formats

    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="video, folder (all below it), glob, or a .txt file with one of these a line",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where results go")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="whose tree is mirrored (the folder that holds all sources)"
    )
    outputs = parser.add_argument_group("outputs of each source (JSON lines always)")
    for name, chosen in export_formats("track").items():
        if name != "json":
            flag = "--mp4" if name == "video" else f"--{name.replace('_', '-')}"
            outputs.add_argument(flag, dest=name, action="store_true", help=chosen.text)
    outputs.add_argument("--report", action="store_true", help="one page (HTML) about the video")
    parser.add_argument_group("tracking").add_argument(
        "--split",
        type=_seconds,
        metavar="S",
        help="cut longer sources into pieces of S seconds, join them later",
    )
    group = parser.add_argument_group("workers")
    group.add_argument("--jobs", type=parse_count, metavar="N", help="processes (processors / threads)")
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="on a Ray cluster: auto, an address, or local for one of this machine",
    )
    group.add_argument(
        "--retries", type=_whole, default=2, metavar="N", help="tries of a source whose worker died (2)"
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        default=300.0,
        metavar="S",
        help="seconds without a frame that end it (300)",
    )
    add_model(parser)
    add_score(parser)
    add_tracking(parser)
    add_drawing(parser)


def run(options: argparse.Namespace) -> int:
    """Run it; the exit code is 1 if a source failed."""
    from ...batch.run import SUMMARY, run_batch
    from ...batch.sources import find_sources
    from ...engine import choose_precision
    from ...weights import load_weights

    sources = find_sources(options.sources, options.output, options.root)
    weights = load_weights(options.weights)
    precision = choose_precision(options.precision, None, weights.ranges).name
    start = time.perf_counter()
    try:
        report = run_batch(
            sources,
            options.output,
            weights,
            _options(options),
            _workers(options),
            size=options.size,
            precision=precision,
            quiet=options.quiet,
        )
    except (KeyboardInterrupt, SystemExit):
        print("what is done is kept: the same command goes on from here", file=sys.stderr)
        raise
    if not options.quiet:
        _describe(report, time.perf_counter() - start, options.output / SUMMARY)
    return 1 if report.count("failed") else 0


def _options(options: argparse.Namespace) -> Options:
    from ...batch.options import REPORT, Options
    from ...export import export_formats

    wanted = [n for n in (*export_formats("track"), REPORT) if n != "json" and getattr(options, n)]
    names = ("keyframe_every", "score_threshold", "forget_after", "iou_weight", "max_frames", "fps")
    given = {name: getattr(options, name) for name in (*names, "boxes", "split")}
    return Options(("json", *wanted), labels=not options.no_labels, **given)


def _workers(options: argparse.Namespace) -> Workers:
    from ...batch.run import Workers
    from ...engine import default_threads

    threads = options.threads or 1
    jobs = options.jobs
    if jobs is None:
        jobs = max(default_threads() // threads, 1) if options.ray is None else 0
    return Workers(jobs, threads, options.ray, options.retries, options.timeout or None)


def _describe(report: BatchReport, seconds: float, summary: Path) -> None:
    from ...batch.progress import duration

    frames = sum(record["frames"] for record in report.records)
    before = f" ({report.resumed} by an earlier run)" if report.resumed else ""
    sources = f"{len(report.records)} source{'s' * (len(report.records) != 1)}"
    print(
        f"{sources}: {report.count('done')} done{before}, "
        f"{report.count('failed')} failed; {frames} frames, {duration(seconds)} -> {summary}"
    )


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    return parse_number(text, sys.float_info.min, sys.float_info.max, "seconds above 0")
