"""`mobileinst track`: a video, folder of images or camera into files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...io.files import fitting_name
from ..arguments import (
    add_drawing,
    add_model,
    add_outputs,
    add_score,
    add_tracking,
    outputs,
    overlay,
    parse_camera,
    parse_count,
    parse_seconds,
    segmenter,
)
from ..status import FAILED, INTERRUPTED, fail, say

if TYPE_CHECKING:
    from ...export import Sink
    from ...pipeline import Summary
    from ...video import FrameSource
    from ...zones import ZoneCounter

HELP = "track objects through a video, a folder of images or a camera"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ...video.streams import OPEN_TIMEOUT, READ_TIMEOUT

    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="video, image, folder of images, address, - for standard input, number of a camera, picamera2, "
        "rpicam-vid, or ffmpeg:...",
    )
    add_model(parser)
    add_score(parser)
    group = parser.add_argument_group("outputs (without any: SOURCE-tracked.mp4 in the current folder)")
    add_outputs(group, "track")
    group.add_argument("--timings", metavar="JSON", help="seconds that each stage took")
    add_tracking(parser)
    _add_zones(parser)
    _add_live(parser)
    limits = parser.add_argument_group("network sources")
    limits.add_argument(
        "--open-timeout",
        type=parse_seconds,
        default=OPEN_TIMEOUT,
        metavar="S",
        help="seconds to open (%(default)g; 0: no limit)",
    )
    limits.add_argument(
        "--read-timeout",
        type=parse_seconds,
        default=READ_TIMEOUT,
        metavar="S",
        help="seconds without data (%(default)g; 0: no limit)",
    )
    add_drawing(parser)
    parser.add_argument("--legend", action="store_true", help="list what is visible in a corner")
    parser.add_argument(
        "--trails", type=parse_count, default=0, metavar="N", help="draw each track's way over N frames"
    )


def _add_zones(parser: argparse.ArgumentParser) -> None:
    from ...zones.counter import ANCHORS

    group = parser.add_argument_group(
        "counting (pixels, or per cent as 50%; NAME: may stand in front; any number)"
    )
    group.add_argument(
        "--count-line",
        action="append",
        default=[],
        metavar="X0,Y0,X1,Y1",
        help="count who crosses",
    )
    group.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="X,Y,X,Y,X,Y...",
        help="count who is inside",
    )
    group.add_argument("--counts", metavar="FILE", help="counts as .json, or events as .csv")
    group.add_argument("--anchor", choices=ANCHORS, default=ANCHORS[0], help="point that counts (bottom)")


def _add_live(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cameras")
    group.add_argument(
        "--live", action="store_true", help="take the newest frame, drop those that come meanwhile"
    )
    group.add_argument(
        "--preview", type=int, metavar="PORT", help="show it at http://127.0.0.1:PORT/ (no video is written)"
    )
    group.add_argument("--camera-size", type=parse_camera, metavar="WxH", help="size asked of the camera")


def default_video(name: str) -> str:
    """The name of the video in the current folder for a source: that of its file or folder."""
    stem = Path(name).stem
    if stem in ("", ".", "..") or Path(name).name in (".", ".."):
        stem = Path(name).resolve().stem
    # No name that is hidden or looks like an option.
    plain = re.sub(r"[^\w.-]+", "_", stem).lstrip("-.") or "source"
    return fitting_name(plain, "-tracked.mp4")


def run(options: argparse.Namespace) -> int:
    from ... import pipeline
    from ...tracking import Tracker
    from ...video import NewestFrames, open_source

    source = open_source(
        options.source,
        rate=options.fps,
        camera_size=options.camera_size,
        open_timeout=options.open_timeout,
        read_timeout=options.read_timeout,
    )
    if options.live:
        # What has an end is no camera: it is played at its own speed.
        source = NewestFrames(source, paced=source.count is not None)
    chosen = outputs(options, "track")
    zones = _zones(options)
    chosen |= {name: getattr(options, name) for name in ("counts", "timings") if getattr(options, name)}
    if not chosen and options.preview is None:
        chosen["video"] = default_video(source.name)
    model = segmenter(options)
    sinks = [] if options.preview is None else [_preview(options, source)]
    summary = pipeline.track(
        source,
        model,
        chosen,
        tracker=Tracker(forget_after=options.forget_after, iou_weight=options.iou_weight),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        max_frames=options.max_frames,
        overlay=overlay(options),
        zones=zones,
        sinks=sinks,
        quiet=options.quiet,
    )
    code = report(summary, chosen, quiet=options.quiet)
    if zones is not None and not options.quiet:
        say("\n".join(zones.captions()), to_stderr=pipeline.STDOUT in chosen.values())
    return code


def _preview(options: argparse.Namespace, source: FrameSource) -> Sink:
    """The page that --preview asks for, served from here on."""
    from ...export.preview import PreviewSink
    from ...video.preview import Preview

    preview = Preview(options.preview)
    if not options.quiet:
        say(f"preview at {preview.address}", to_stderr=True)
    return PreviewSink(preview, source)


def _zones(options: argparse.Namespace) -> ZoneCounter | None:
    """The counter that the options ask for."""
    from ...zones import ZoneCounter, parse_line, parse_zone

    lines = [parse_line(text) for text in options.count_line]
    zones = [parse_zone(text) for text in options.zone]
    if not lines and not zones:
        if options.counts:
            raise ValueError("--counts needs a --count-line or a --zone")
        return None
    return ZoneCounter(lines, zones, anchor=options.anchor)


def report(summary: Summary, outputs: dict[str, str], *, quiet: bool) -> int:
    """Say what was done and where it is; returns the exit code."""
    from ...pipeline import STDOUT, file_names

    written = ", ".join(file_names(outputs))
    if not quiet:
        say(f"{summary}" + (f" -> {written}" if written else ""), to_stderr=STDOUT in outputs.values())
    if summary.stopped is None:
        return 0
    before = "frame before is" if summary.frames == 1 else f"{summary.frames} frames before are"
    kept = f"; the {before} in {written}" if written else ""
    if isinstance(summary.stopped, KeyboardInterrupt):
        return fail(f"interrupted{kept}", INTERRUPTED)
    return fail(f"{summary.stopped}{kept}", FAILED)
