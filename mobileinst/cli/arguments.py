"""Options that several commands share."""

from __future__ import annotations

import argparse
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..drawing import Overlay
    from ..segmenter import Segmenter


def add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--weights", metavar="W", help="weights file, or name of shipped weights")
    group.add_argument("--size", type=parse_size, metavar="S", help="shorter side for the network, or HxW")
    group.add_argument(
        "--threads", type=parse_count, metavar="N", help="threads of the network (all processors)"
    )
    add_precision(group)


def add_precision(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8", "auto"),
        help="what the network computes in; auto: the fastest here (MOBILEINST_PRECISION, or else fp32)",
    )


def segmenter(options: argparse.Namespace) -> Segmenter:
    """The Segmenter that :func:`add_model`'s options ask for."""
    from ..segmenter import Segmenter

    return Segmenter(options.weights, threads=options.threads, size=options.size, precision=options.precision)


def add_score(parser: argparse.ArgumentParser) -> None:
    text = "least score, 0..1 (the weights' own for an instance, 1.25 times that for a new track)"
    parser.add_argument("--score-threshold", type=float, metavar="S", help=text)


def add_tracking(parser: argparse.ArgumentParser) -> None:
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument(
        "--keyframe-every", type=int, default=3, metavar="T", help="whole network on every T-th frame (3)"
    )
    tracking.add_argument(
        "--forget-after", type=int, default=30, metavar="N", help="keyframes until a lost track ends (30)"
    )
    tracking.add_argument(
        "--iou-weight", type=float, default=1.0, metavar="W", help="weight of place against looks (1)"
    )
    tracking.add_argument("--max-frames", type=parse_count, metavar="N", help="stop after so many frames")
    tracking.add_argument(
        "--fps", type=parse_rate, metavar="R", help="frame rate of a folder of images (30), or of a camera"
    )


def add_drawing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("drawing")
    group.add_argument("--boxes", action="store_true", help="draw boxes too")
    group.add_argument("--no-labels", action="store_true", help="leave the labels out")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def overlay(options: argparse.Namespace) -> Overlay:
    """What :func:`add_drawing`'s options ask for."""
    from ..drawing import Overlay

    more = {name: getattr(options, name) for name in ("legend", "trails") if hasattr(options, name)}
    return Overlay(boxes=options.boxes, labels=not options.no_labels, **more)


def add_outputs(parser: argparse._ArgumentGroup | argparse.ArgumentParser, command: str) -> None:
    """An option for each format that the command offers."""
    from ..export import export_formats

    for name, chosen in export_formats(command).items():
        parser.add_argument(*chosen.flags, dest=name, metavar=chosen.metavar, help=chosen.text)


def outputs(options: argparse.Namespace, command: str) -> dict[str, str]:
    """The path of each format that :func:`add_outputs`' options ask for."""
    from ..export import export_formats

    given = {name: getattr(options, name) for name in export_formats(command)}
    return {name: path for name, path in given.items() if path is not None}


def parse_count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def parse_number(text: str, low: float, high: float, expected: str) -> float:
    """A number of an option from `low` to `high`; the error says what was `expected`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def parse_rate(text: str) -> float:
    return parse_number(text, 1e-6, 1000, "frames per second of 0.000001 to 1000")


def parse_camera(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected width and height as 1280x720, got {text!r}")
    return int(match[1]), int(match[2])


def parse_seconds(text: str) -> float | None:
    """Seconds of a time limit; 0 means none."""
    return parse_number(text, 0, 1e6, "seconds, or 0 for no limit") or None


def parse_size(text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,6})(?:x([0-9]{1,6}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a size as 640 or 480x864, got {text!r}")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])
