"""`mobileinst train`: weights for one's own objects."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..arguments import parse_count, parse_number
from ..status import INTERRUPTED, say

HELP = "train on your own annotated images"

#: Warnings that are shown.
_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train weights for your own objects, starting from the shipped ones. Annotations may be COCO JSON, a "
        "YOLO-seg folder, labelme or VIA JSON, or PNG masks; which they are is found out. Started again, the "
        "same command goes on where it was stopped."
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder or file of the annotations")
    parser.add_argument(
        "--output", type=Path, metavar="W.safetensors", help="weights to write; a page goes beside them"
    )
    parser.add_argument("--check", action="store_true", help="only say what the data hold and what is wrong")
    parser.add_argument("--skip-bad", action="store_true", help="leave wrong entries and missing images out")
    parser.add_argument("--weights", metavar="W", help="weights to start from (default: the shipped ones)")
    parser.add_argument(
        "--size", type=parse_count, metavar="S", help="shorter side for the network (by the objects)"
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="longest time of training, 0 for no limit (10 up to 100 images, else 30)",
    )
    parser.add_argument(
        "--images", type=parse_count, metavar="N", help="augmented images to train on (by the set's size)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the split and the order (0)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)")
    parser.add_argument(
        "--run",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="folder of what is kept on the way (W.training)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but results")


def _minutes(text: str) -> float:
    return parse_number(text, 0, 1e6, "minutes of 0 to 1000000")


def run(options: argparse.Namespace) -> int:
    from ...datasets import DatasetError

    if options.check:
        return _check(options)
    if options.output is None:
        raise ValueError("expected --output W.safetensors, or --check to look at the data only")
    _check_options(options)
    try:
        from weights_tools.own_objects.run import Choices, train_own_objects
    except ImportError as error:
        if "mobileinst[" in str(error):
            raise
        raise ImportError(
            f'training needs more packages: pip install "mobileinst[train]" ({error})'
        ) from error
    from ...datasets import read_dataset

    folder = options.folder or options.output.with_suffix(".training")
    choices = Choices(
        options.output,
        folder,
        options.weights,
        options.size,
        options.minutes,
        options.images,
        options.seed,
        options.device,
        options.quiet,
        options.skip_bad,
    )
    _check_outputs(options, choices.page)
    dataset = read_dataset(options.data, skip_bad=options.skip_bad)
    if not options.quiet:
        _describe(dataset.form, dataset.counts(), len(dataset.pictures), dataset.warnings)
    try:
        return INTERRUPTED if train_own_objects(dataset, choices, say) is None else 0
    except DatasetError as error:
        raise DatasetError(f"{options.data}: {error}") from None


def _check_options(options: argparse.Namespace) -> None:
    if options.output.suffix != ".safetensors":
        raise ValueError(f"expected an output that ends in .safetensors, got {options.output}")
    if options.size is not None and (options.size % 32 or not 128 <= options.size <= 1280):
        raise ValueError(f"--size: expected a multiple of 32 from 128 to 1280, got {options.size}")


def _check_outputs(options: argparse.Namespace, page: Path) -> None:
    from ...io.files import check_outputs, check_writable
    from ...weights import find_weights

    inputs = [find_weights(options.weights)]
    if options.data.is_file():
        inputs.append(options.data)
    check_outputs([options.output, page], inputs)
    for path in (options.output, page):
        check_writable(path)


def _check(options: argparse.Namespace) -> int:
    """Say what the data hold and everything that is wrong."""
    from ...datasets.duplicates import file_hash
    from ...datasets.parts import split
    from ...datasets.recognise import collect

    found = collect(options.data, skip_bad=options.skip_bad)
    for problem in found.problems:
        say(problem)
    errors = sum(problem.error for problem in found.problems)
    if errors:
        say(f"{options.data}: {errors} errors")
        return 1
    dataset = found.dataset()
    _describe(dataset.form, dataset.counts(), len(dataset.pictures), ())
    train, val, doubtful = split(dataset, [file_hash(p.path) for p in dataset.pictures], options.seed)
    for problem in doubtful:
        say(problem)
    say(f"{len(train)} images to train on, {len(val)} to measure on")
    return 0


def _describe(form: str, counts: Mapping[str, int], images: int, warnings: Sequence[object]) -> None:
    for warning in warnings[:_SHOWN]:
        say(warning)
    if len(warnings) > _SHOWN:
        say(f"... and {len(warnings) - _SHOWN} more warnings (--check shows them)")
    classes = ", ".join(f"{name} {count}" for name, count in counts.items())
    say(f"{form}: {images} images; objects: {classes}")
