"""The command ``mobileinst batch``: many sources into a folder."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.progress import duration

if TYPE_CHECKING:
    from ..batch.options import Options
    from ..batch.run import BatchReport, Workers


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``batch`` besides those that it shares with ``track``."""
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
    outputs.add_argument("--mp4", action="store_true", help="video with masks drawn on it")
    outputs.add_argument("--picture", action="store_true", help="the frame that shows most, drawn")
    outputs.add_argument("--youtube-vis", action="store_true", help="YouTube-VIS results")
    outputs.add_argument("--mots", action="store_true", help="MOTS text")
    outputs.add_argument("--masks", action="store_true", help="16-bit PNGs of track ids")
    group = parser.add_argument_group("workers")
    group.add_argument("--jobs", type=_count, metavar="N", help="processes (processors / threads)")
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


def run_batch_command(options: argparse.Namespace) -> int:
    """Run it; the exit code is 1 if a source failed."""
    from ..batch.run import SUMMARY, run_batch
    from ..batch.sources import find_sources
    from ..weights import load_weights

    sources = find_sources(options.sources, options.output, options.root)
    weights = load_weights(options.weights)
    start = time.perf_counter()
    try:
        report = run_batch(
            sources,
            options.output,
            weights,
            _options(options),
            _workers(options),
            size=options.size,
            quiet=options.quiet,
        )
    except (KeyboardInterrupt, SystemExit):
        print("what is done is kept: the same command goes on from here", file=sys.stderr)
        raise
    _describe(report, time.perf_counter() - start, options.output / SUMMARY, quiet=options.quiet)
    return 1 if report.count("failed") else 0


def _options(options: argparse.Namespace) -> Options:
    from ..batch.options import Options

    wanted = ("picture", "youtube_vis", "mots", "masks")
    outputs = ["json", *(["video"] if options.mp4 else []), *(n for n in wanted if getattr(options, n))]
    return Options(
        tuple(outputs),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        forget_after=options.forget_after,
        iou_weight=options.iou_weight,
        max_frames=options.max_frames,
        fps=options.fps,
        boxes=options.boxes,
        labels=not options.no_labels,
    )


def _workers(options: argparse.Namespace) -> Workers:
    from ..batch.run import Workers
    from ..engine import usable_processors

    threads = options.threads or 1
    jobs = options.jobs
    if jobs is None:
        jobs = max(usable_processors() // threads, 1) if options.ray is None else 0
    return Workers(jobs, threads, options.ray, options.retries, options.timeout or None)


def _describe(report: BatchReport, seconds: float, summary: Path, *, quiet: bool) -> None:
    if quiet:
        return
    frames = sum(record["frames"] for record in report.records)
    before = f" ({report.resumed} by an earlier run)" if report.resumed else ""
    sources = f"{len(report.records)} source{'s' * (len(report.records) != 1)}"
    print(
        f"{sources}: {report.count('done')} done{before}, "
        f"{report.count('failed')} failed; {frames} frames, {duration(seconds)} -> {summary}"
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return seconds
