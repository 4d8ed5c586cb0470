"""`mobileinst eval`: run a model over a set, or measure or check a results file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import add_precision, parse_count, parse_rate, segmenter
from ..status import say

if TYPE_CHECKING:
    from ...evaluation.set_run import RunReport
    from ...evaluation.summary import Evaluation
    from ...segmenter import Segmenter

HELP = "measure a model on an annotated set, or a results file"

_SHOWN_PROBLEMS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a model over a set in COCO or YouTube-VIS format and measure it, or measure or check an "
        "existing results file."
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="coco|ytvis|check")
    for kind, name, items in (("coco", "COCO", "images"), ("ytvis", "YouTube-VIS", "videos")):
        _add_measuring(kinds.add_parser(kind, help=f"{name}: masks of {items}"), kind, items)
    check = kinds.add_parser("check", help="say what is wrong with a results file")
    check.add_argument("results", type=Path, metavar="R.json")
    check.add_argument("--annotations", type=Path, metavar="A.json", help="check ids and sizes against these")
    check.add_argument("--format", choices=("coco", "ytvis"), help="(default: found out from the file)")
    check.set_defaults(work=_check)


def _add_measuring(one: argparse.ArgumentParser, kind: str, items: str) -> None:
    one.add_argument("--annotations", required=True, type=Path, metavar="A.json")
    one.add_argument("--images", type=Path, metavar="DIR", help=f"folder of the {items}")
    one.add_argument("--results", type=Path, metavar="R.json", help="measure this file, run no model")
    one.add_argument("--weights", metavar="FILE", help="weights file or name (default: the shipped ones)")
    one.add_argument(
        "--output",
        type=Path,
        default=Path(f"{kind}-results.json"),
        metavar="R.json",
        help="results in the official format; the table and the picture go beside it (%(default)s)",
    )
    one.add_argument("--size", type=int, metavar="N", help="shorter side of the network's input")
    one.add_argument("--threads", type=int, metavar="N", help="of each process (1 with several)")
    add_precision(one)
    one.add_argument("--jobs", type=parse_count, metavar="N", help=f"processes that share the {items} (1)")
    one.add_argument("--ray", metavar="ADDRESS", help="spread over a Ray cluster: auto, local, an address")
    one.add_argument(
        "--classes",
        metavar="A,B",
        help="measure in these classes (categories by name or supercategory) instead of the model's",
    )
    one.add_argument("--min-score", type=float, metavar="S", help="least score that is written")
    one.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    if kind == "coco":
        one.add_argument(
            "--mirror", action="store_true", help="measure the images flipped from left to right, too"
        )
    if kind == "ytvis":
        one.add_argument(
            "--fps",
            type=parse_rate,
            default=30.0,
            metavar="R",
            help="frames a second of videos that don't say theirs, for false tracks per minute (30)",
        )
        one.add_argument("--keyframe-every", type=int, default=3, metavar="T", help="(%(default)s)")
        one.add_argument(
            "--shown-score",
            type=float,
            metavar="S",
            help="least score of a track that counts for identities (default: the weights' threshold)",
        )
    one.set_defaults(work=_measure)


def run(options: argparse.Namespace) -> int:
    code: int = options.work(options)
    return code


def _check(options: argparse.Namespace) -> int:
    from ...evaluation.validate import validate

    problems = validate(options.results, options.annotations, options.format)
    for problem in problems[:_SHOWN_PROBLEMS]:
        say(problem)
    if len(problems) > _SHOWN_PROBLEMS:
        say(f"... and {len(problems) - _SHOWN_PROBLEMS} more")
    errors = sum(problem.error for problem in problems)
    say(f"{options.results}: {errors} errors, {len(problems) - errors} warnings")
    return 1 if errors else 0


def _measure(options: argparse.Namespace) -> int:
    from ...evaluation import coco, youtube_vis
    from ...evaluation.report import evaluation_table

    mirror = getattr(options, "mirror", False)
    if mirror and options.results is not None:
        raise ValueError("--mirror runs the model on flipped images, it can't be had of --results")
    _check_files(options)
    if options.kind == "coco":
        coco.import_pycocotools()  # what is missing is said before the model runs
    classes = options.classes.split(",") if options.classes else None
    threshold = getattr(options, "shown_score", None)
    if options.results is not None:
        results: Any = options.results
        stem = options.results
    else:
        if options.images is None:
            raise ValueError("expected --images DIR to run the model on, or --results R.json to measure")
        if options.threads is None and (options.ray is not None or (options.jobs or 1) > 1):
            options.threads = 1
        model = segmenter(options)
        report = _run(model, options, options.output)
        _describe(report, model, options.output)
        results, stem = report.results, options.output
        if classes is None and report.mapping is not None:
            classes = list(report.mapping.names)
        if threshold is None:
            shown = model.weights.score_threshold
            threshold = min(shown) if isinstance(shown, tuple) else shown
    evaluate = coco.evaluate if options.kind == "coco" else youtube_vis.evaluate
    evaluation = evaluate(options.annotations, results, classes=classes)
    say(evaluation_table(evaluation))
    summary = evaluation.to_dict()
    if mirror:
        flipped = _run(model, options, _mirrored(options.output), mirror=True)
        mirrored = coco.evaluate(options.annotations, flipped.results, classes=classes)
        say(f"images flipped from left to right:\n{evaluation_table(mirrored)}")
        summary["mirror"] = mirrored.to_dict()
    if options.kind == "ytvis":
        summary |= _tracks(options, results, classes, threshold or 0.0)
    _write(evaluation, summary, stem)
    return 0


def _run(segmenter: Segmenter, options: argparse.Namespace, output: Path | None, **chosen: Any) -> RunReport:
    from ...evaluation.runner import run_coco, run_youtube_vis

    chosen |= {"output": output, "quiet": options.quiet, "ray": options.ray}
    chosen["jobs"] = options.jobs or (1 if options.ray is None else 0)
    if options.min_score is not None:
        chosen["score_threshold"] = options.min_score
    run: Callable[..., RunReport] = run_coco
    if options.kind == "ytvis":
        run = run_youtube_vis
        chosen["keyframe_every"] = options.keyframe_every
    try:
        return run(segmenter, options.annotations, options.images, **chosen)
    except KeyboardInterrupt:
        say("what is done is kept: the same command goes on from here", to_stderr=True)
        raise


def _describe(report: RunReport, segmenter: Segmenter, output: Path) -> None:
    if report.resumed:
        say(f"went on after {report.resumed} that were done before")
    if report.frames:
        each = 1000 * report.seconds / report.frames
        say(f"{report.frames} frames, {each:.1f} ms each with reading, size {segmenter.size} -> {output}")
    mapping = report.mapping
    if mapping is not None:
        pairs = ", ".join(f"{n} = {i}" for n, i in zip(mapping.names, mapping.ids, strict=True))
        if len(mapping.names) <= 10:
            say(f"category ids: {pairs}")
        if mapping.missing:
            say(f"not in the annotations, left out: {', '.join(mapping.missing)}")


def _tracks(
    options: argparse.Namespace, results: Any, classes: list[str] | None, threshold: float
) -> dict[str, Any]:
    """Identities, and precision and recall of the tracks that a user is shown."""
    from ...evaluation import identity, tracks
    from ...evaluation.files import read_results
    from ...evaluation.report import percent

    shown = identity.best_class_only(read_results(results))
    counts = identity.evaluate(options.annotations, shown, classes=classes, score_threshold=threshold)
    say(
        f"identities (tracks of score >= {threshold:g}): IDF1 {percent(counts.idf1)}, "
        f"switches {counts.switches}, fragments {counts.fragments}, MOTA {100 * counts.mota:.1f}, "
        f"{counts.mostly_tracked} of {counts.tracks} objects mostly tracked, {counts.mostly_lost} mostly lost"
    )
    of_classes = tracks.evaluate(
        options.annotations, shown, classes=classes, score_threshold=threshold, fps=options.fps
    )
    say(tracks.track_table(of_classes))
    return {
        "identity": {"score_threshold": threshold, **counts.to_dict()},
        "tracks": {name: one.to_dict() for name, one in of_classes.items()},
    }


def _mirrored(output: Path) -> Path | None:
    """Where the results of flipped images go, if the others go to a file."""
    from ...io.files import fitting_name, is_plain

    name = fitting_name(output.stem, f".mirror{output.suffix}")
    return output.with_name(name) if is_plain(output) else None


def _beside(results: Path) -> tuple[Path, Path]:
    """Where the picture and the numbers go: beside the results."""
    from ...io.files import fitting_name

    picture, numbers = (results.with_name(fitting_name(results.stem, end)) for end in (".svg", ".stats.json"))
    return picture, numbers


def _check_files(options: argparse.Namespace) -> None:
    """Raise before any work if an output can't be written, or would replace what is read."""
    from ...evaluation.set_run import journal_path
    from ...io.files import check_outputs, check_writable, is_plain
    from ...weights import find_weights

    inputs = [options.annotations]
    if options.results is not None:
        outputs = list(_beside(options.results))
        inputs.append(options.results)
    else:
        outputs = [options.output, *_beside(options.output), journal_path(options.output)]
        flipped = _mirrored(options.output) if getattr(options, "mirror", False) else None
        if flipped is not None:
            outputs += [flipped, journal_path(flipped)]
        inputs.append(find_weights(options.weights))
    check_outputs(outputs, inputs)
    for output in outputs:
        if is_plain(outputs[0]) or output == outputs[0]:
            check_writable(output)


def _write(evaluation: Evaluation, summary: dict[str, Any], results: Path) -> None:
    """The picture and the numbers, beside the results where these are a file."""
    from ...evaluation.report import precision_recall_svg
    from ...io.files import NamedWrites, Output, is_plain
    from ...io.signals import hold_signals

    if not is_plain(results):
        return
    picture, numbers = (Output(path) for path in _beside(results))
    with NamedWrites(picture.path):
        picture.open().write(precision_recall_svg(evaluation, f"{results.stem}: precision over recall"))
    with NamedWrites(numbers.path):
        json.dump(summary, numbers.open(), indent=1)
    picture.complete()
    numbers.complete()
    with hold_signals():
        picture.finish()
        numbers.finish()
    say(f"picture: {picture.path}, numbers: {numbers.path}")
