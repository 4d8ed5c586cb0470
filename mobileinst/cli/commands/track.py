"""`mobileinst track`: a video, folder of images or camera into files."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import (
    add_drawing,
    add_model,
    add_outputs,
    add_score,
    add_tracking,
    outputs,
    overlay,
    segmenter,
)
from ..status import FAILED, INTERRUPTED, fail

if TYPE_CHECKING:
    from ...pipeline import Summary

HELP = "track objects through a video, a folder of images or a camera"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="video file, folder of images, or index of a camera")
    add_model(parser)
    add_score(parser)
    group = parser.add_argument_group("outputs (without any: SOURCE-tracked.mp4 in the current folder)")
    add_outputs(group, "track")
    add_tracking(parser)
    add_drawing(parser)


def run(options: argparse.Namespace) -> int:
    from ... import pipeline
    from ...tracking import Tracker
    from ...video import open_source

    source = open_source(options.source, rate=options.fps)
    chosen = outputs(options, "track")
    if not chosen:
        chosen["video"] = re.sub(r"[^\w.-]+", "_", Path(source.name).stem) + "-tracked.mp4"
    summary = pipeline.track(
        source,
        segmenter(options),
        chosen,
        tracker=Tracker(forget_after=options.forget_after, iou_weight=options.iou_weight),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        max_frames=options.max_frames,
        overlay=overlay(options),
        quiet=options.quiet,
    )
    return report(summary, chosen, quiet=options.quiet)


def report(summary: Summary, outputs: dict[str, str], *, quiet: bool) -> int:
    """Say what was done and where it is; returns the exit code."""
    from ...pipeline import STDOUT, file_names

    written = ", ".join(file_names(outputs))
    if not quiet:
        where = sys.stderr if STDOUT in outputs.values() else sys.stdout
        print(f"{summary}" + (f" -> {written}" if written else ""), file=where)
    if summary.stopped is None:
        return 0
    before = "frame before is" if summary.frames == 1 else f"{summary.frames} frames before are"
    kept = f"; the {before} in {written}" if written else ""
    if isinstance(summary.stopped, KeyboardInterrupt):
        return fail(f"interrupted{kept}", INTERRUPTED)
    return fail(f"{summary.stopped}{kept}", FAILED)
