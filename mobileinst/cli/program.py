"""The command line: `mobileinst track | segment | demo | info | doctor`."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from .. import __version__
from .batch import add_batch_arguments, run_batch_command
from .evaluate import add_eval_parser

if TYPE_CHECKING:
    from ..segmenter import Segmenter
    from .commands import Summary, TrackOutputs

#: Exit codes besides 0; from 128 on as shells count signals.
FAILED, SIGNALLED, INTERRUPTED, BROKEN_PIPE = 2, 128, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on standard error."""
    logging.basicConfig(format="mobileinst: %(levelname)s: %(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    replaced = _catch_signals()
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Keeps the interpreter from failing at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        return _fail(str(error) or type(error).__name__, FAILED)
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def _catch_signals() -> list[signal.Signals]:
    """Turn the signals that would end the process at once into exceptions; says which."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Whoever ignores one (nohup) or handles it goes on doing so.
    replaced = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, _terminate)
    return replaced


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # As an exception, so that outputs which were begun are removed.
    raise SystemExit(SIGNALLED + number)


def _fail(message: str, code: int) -> int:
    print(f"mobileinst: error: {' '.join(message.split())}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(f"{message} (see {self.prog} --help)", FAILED))


def _track(options: argparse.Namespace) -> int:
    from ..tracking import Tracker
    from ..video import open_source
    from . import commands

    source = open_source(options.source, rate=options.fps)
    outputs = commands.TrackOutputs(
        options.output, options.picture, options.json, options.youtube_vis, options.mots, options.masks
    )
    if not outputs.names() and options.json is None:
        outputs.video = Path(re.sub(r"[^\w.-]+", "_", Path(source.name).stem) + "-tracked.mp4")
    summary = commands.track(
        source,
        _segmenter(options),
        outputs,
        tracker=Tracker(forget_after=options.forget_after, iou_weight=options.iou_weight),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        max_frames=options.max_frames,
        style=commands.Style(options.boxes, not options.no_labels),
        quiet=options.quiet,
    )
    return _report(summary, outputs, options)


def _demo(options: argparse.Namespace) -> int:
    from ..video.demo import DemoSource
    from . import commands

    options.output_dir.mkdir(parents=True, exist_ok=True)
    outputs = commands.TrackOutputs(options.output_dir / "demo.mp4", options.output_dir / "demo.png")
    summary = commands.track(DemoSource(), _segmenter(options), outputs, quiet=options.quiet)
    return _report(summary, outputs, options)


def _report(summary: Summary, outputs: TrackOutputs, options: argparse.Namespace) -> int:
    written = ", ".join(outputs.names())
    if not options.quiet:
        where = sys.stderr if outputs.json == "-" else sys.stdout
        print(f"{summary}" + (f" -> {written}" if written else ""), file=where)
    if summary.stopped is None:
        return 0
    before = "frame before is" if summary.frames == 1 else f"{summary.frames} frames before are"
    kept = f"; the {before} in {written}" if written else ""
    if isinstance(summary.stopped, KeyboardInterrupt):
        return _fail(f"interrupted{kept}", INTERRUPTED)
    return _fail(f"{summary.stopped}{kept}", FAILED)


def _segment(options: argparse.Namespace) -> int:
    from ..export.annotations import ANNOTATION_FORMATS
    from . import commands

    paths = commands.image_paths(options.images)
    segmenter = _segmenter(options)
    annotations = None
    if options.label_out is not None:
        folder = options.output_dir / options.label_out
        annotations = ANNOTATION_FORMATS[options.label_out](folder, segmenter.classes)
    failed = 0
    for path, found, overlay in commands.segment(
        paths,
        segmenter,
        options.output_dir,
        json_lines=options.json,
        coco=options.coco,
        masks=options.masks,
        annotations=annotations,
        score_threshold=options.score_threshold,
        style=commands.Style(options.boxes, not options.no_labels),
    ):
        if isinstance(found, ValueError):
            failed += 1
            _fail(str(found), FAILED)
        elif not options.quiet:
            where = sys.stderr if options.json == "-" else sys.stdout
            print(f"{path}: {commands.counted(found.names, 'instance')} -> {overlay}", file=where)
    return FAILED if failed else 0


def _info(options: argparse.Namespace) -> int:
    from ..inputs import check_size
    from ..network.config import BACKBONES, ModelConfig
    from ..weights import available_weights, load_weights
    from .layer_table import layer_table

    weights = None
    named = options.config in available_weights() or Path(options.config or "").is_file()
    if options.config is None or named:
        weights = load_weights(options.config, kind=None)
        config = weights.config
    elif options.config in BACKBONES:
        config = ModelConfig(
            options.config, width=options.width, classes=options.classes, queries=options.queries
        )
    else:
        known = ", ".join([*BACKBONES, *available_weights()])
        raise ValueError(f"expected one of {known}, or a weights file; got {options.config!r}")
    size = check_size(options.size) if options.size is not None else weights.size if weights else 640
    height, width = size if isinstance(size, tuple) else (size, size)
    kind = weights.kind if weights else "model"
    if kind == "backbone":
        print(f"backbone {config.backbone} alone, use_sim {config.use_sim}")
    else:
        print(", ".join(f"{name} {value}" for name, value in config.to_dict().items()))
    for line in layer_table(config, height, width, kind=kind):
        print(line)
    if weights is not None:
        classes = f"classes: {', '.join(weights.classes)}; " if weights.classes else ""
        print(f"\n{classes}size {weights.size}; version {weights.version}")
        for key, value in weights.card.items():
            print(f"{key}: {value}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import report

    good = True
    for fine, line in report():
        good = good and fine
        print(f"{'ok     ' if fine else 'PROBLEM'}  {line}")
    return 0 if good else FAILED


def _segmenter(options: argparse.Namespace) -> Segmenter:
    from ..segmenter import Segmenter

    return Segmenter(options.weights, threads=options.threads, size=options.size)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mobileinst", description="Find, outline and track objects in images and videos.")
    parser.add_argument("--version", action="version", version=f"mobileinst {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    track = command("track", _track, "track objects through a video, a folder of images or a camera")
    track.add_argument("source", metavar="SOURCE", help="video file, folder of images, or index of a camera")
    _add_model(track)
    _add_score(track)
    outputs = track.add_argument_group("outputs (without any: SOURCE-tracked.mp4 in the current folder)")
    outputs.add_argument("-o", "--output", type=Path, metavar="MP4", help="video with masks drawn on it")
    outputs.add_argument("--json", metavar="FILE", help="one JSON object a line for each frame; - for stdout")
    outputs.add_argument("--picture", type=Path, metavar="PNG", help="the frame that shows most, drawn")
    outputs.add_argument("--youtube-vis", type=Path, metavar="JSON", help="YouTube-VIS results")
    outputs.add_argument("--mots", type=Path, metavar="TXT", help="MOTS text")
    outputs.add_argument("--masks", type=Path, metavar="DIR", help="16-bit PNGs of track ids")
    _add_tracking(track)
    _add_drawing(track)

    batch = command("batch", run_batch_command, "track many sources into a folder, on all cores or machines")
    add_batch_arguments(batch)
    _add_model(batch)
    _add_score(batch)
    _add_tracking(batch)
    _add_drawing(batch)

    segment = command("segment", _segment, "segment images")
    segment.add_argument("images", nargs="+", metavar="IMAGE", help="image, or folder of images")
    _add_model(segment)
    _add_score(segment)
    segment.add_argument(
        "--output-dir", type=Path, default=Path(), metavar="DIR", help="where overlays go (.)"
    )
    segment.add_argument("--json", metavar="FILE", help="one JSON object a line for each image; - for stdout")
    segment.add_argument("--coco", type=Path, metavar="JSON", help="COCO results")
    segment.add_argument("--masks", action="store_true", help="also write 16-bit PNGs of instance numbers")
    segment.add_argument(
        "--label-out",
        choices=("yolo", "coco", "labelme"),
        help="also make a folder of this name in DIR: the images, with what was found as annotations",
    )
    _add_drawing(segment)

    demo = command("demo", _demo, "track a clip made of photographs; leaves demo.mp4 and demo.png")
    demo.add_argument("--output-dir", type=Path, default=Path(), metavar="DIR", help="where they go (.)")
    _add_model(demo)
    demo.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")

    info = command("info", _info, "print every layer with its shape, parameters and multiply-adds")
    info.add_argument("config", nargs="?", metavar="CONFIG", help="backbone, or weights (default weights)")
    info.add_argument("--size", type=_size, metavar="S", help="size of the input: 640 or 480x864")
    info.add_argument("--width", type=int, default=256, help="of the mask decoder, for a backbone (256)")
    info.add_argument("--classes", type=int, default=80, help="number of classes, for a backbone (80)")
    info.add_argument("--queries", type=int, default=100, help="number of queries, for a backbone (100)")

    add_eval_parser(commands)
    command("doctor", _doctor, "say what this installation has and what it lacks")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--weights", metavar="W", help="weights file, or name of shipped weights")
    group.add_argument("--size", type=_size, metavar="S", help="shorter side for the network, or HxW")
    group.add_argument("--threads", type=_count, metavar="N", help="threads of the network (all processors)")


def _add_score(parser: argparse.ArgumentParser) -> None:
    text = "least score, 0..1 (the weights' own for an instance, 1.25 times that for a new track)"
    parser.add_argument("--score-threshold", type=float, metavar="S", help=text)


def _add_tracking(parser: argparse.ArgumentParser) -> None:
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
    tracking.add_argument("--max-frames", type=_count, metavar="N", help="stop after so many frames")
    tracking.add_argument("--fps", type=_rate, metavar="R", help="frame rate of a folder of images (30)")


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("drawing")
    group.add_argument("--boxes", action="store_true", help="draw boxes too")
    group.add_argument("--no-labels", action="store_true", help="leave the labels out")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"expected frames per second up to 1000, got {text!r}")
    return rate


def _size(text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a size as 640 or 480x864, got {text!r}")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


if __name__ == "__main__":
    sys.exit(main())
