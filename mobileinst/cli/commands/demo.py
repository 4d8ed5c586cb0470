"""`mobileinst demo`: a clip made of photographs, tracked."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_model, segmenter
from .track import report

HELP = "track a clip made of photographs; leaves demo.mp4 and demo.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output-dir", type=Path, default=Path(), metavar="DIR", help="where they go (.)")
    parser.add_argument(
        "--photographs",
        type=Path,
        metavar="DIR",
        help="where scikit-image's astronaut.png and chelsea.png lie, if it isn't installed",
    )
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def run(options: argparse.Namespace) -> int:
    from ... import pipeline
    from ...video.demo import DemoSource

    folder: Path = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {"video": str(folder / "demo.mp4"), "picture": str(folder / "demo.png")}
    summary = pipeline.track(
        DemoSource(options.photographs), segmenter(options), outputs, quiet=options.quiet
    )
    return report(summary, outputs, quiet=options.quiet)
