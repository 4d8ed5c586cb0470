"""`mobileinst segment`: images into overlays and results."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_drawing, add_model, add_outputs, add_score, outputs, overlay, segmenter
from ..status import FAILED, fail, say

HELP = "segment images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ...export.annotations import ANNOTATION_FORMATS

    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image, or folder of images")
    add_model(parser)
    add_score(parser)
    parser.add_argument(
        "--output-dir", type=Path, default=Path(), metavar="DIR", help="where overlays go (.)"
    )
    add_outputs(parser, "segment")
    parser.add_argument("--masks", action="store_true", help="also write 16-bit PNGs of instance numbers")
    parser.add_argument(
        "--label-out",
        choices=tuple(ANNOTATION_FORMATS),
        help="also make a folder of this name in DIR: the images, with what was found as annotations",
    )
    add_drawing(parser)


def run(options: argparse.Namespace) -> int:
    from ... import pipeline
    from ...export.annotations import ANNOTATION_FORMATS

    chosen = outputs(options, "segment")
    model = segmenter(options)
    annotations = None
    if options.label_out is not None:
        folder = options.output_dir / options.label_out
        annotations = ANNOTATION_FORMATS[options.label_out](folder, model.classes)
    failed = 0
    for path, found, place in pipeline.segment(
        pipeline.image_paths(options.images),
        model,
        options.output_dir,
        chosen,
        masks=options.masks,
        annotations=annotations,
        score_threshold=options.score_threshold,
        overlay=overlay(options),
    ):
        if isinstance(found, ValueError):
            failed += 1
            fail(str(found), FAILED)
        elif not options.quiet:
            say(
                f"{path}: {pipeline.counted(found.names, 'instance')} -> {place}",
                to_stderr=pipeline.STDOUT in chosen.values(),
            )
    return FAILED if failed else 0
