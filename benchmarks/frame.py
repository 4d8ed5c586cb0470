"""Time a frame of 1280x720 from its pixels to run lengths, with 1, 10, 30 and 100 instances.

    python -m benchmarks.frame --output frame.json --table frame.md
    python -m benchmarks.frame --contestants mobileinst ncnn --pictures street.jpg park.mp4
    python -m benchmarks.frame --sizes 640 --instances 30 --merge --output frame.json --table frame.md
    python -m benchmarks.frame --instances 30 --precision fp32 int8 --annotations A.json --images D

`--sizes` are what `Segmenter(size=)` takes: the shorter side of the network's input, unless the longer would
exceed 4/3 of it. By default they are that of the default weights and 640.

The other engines do what their users do: OpenCV resizes the frame, NumPy normalises it, the exported network
(part "masks": the mask features stay inside) computes the mask logits of all 100 queries, then each mask is
resized to the frame, compared with the threshold and encoded by pycocotools ("usual"), or all of that only in
the box around the mask ("boxed").
"mobileinst" goes the same way from frame to run lengths, with mask logits of n kernels;
"mobileinst+segment" is all of `Segmenter.segment`: scores, components, duplicates, boxes and areas too.

The network is one of random weights, so everyone turns the same given logits into run lengths: those that the
default weights give for objects in --pictures, copied to other places where there are too few; without
pictures those of soft ellipses.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import is_ours, parse_entry
from benchmarks.contestants.base import PRECISIONS, Case
from benchmarks.peers import check_ours, entries_of, format_report, needs_ranges, report, shared_options
from benchmarks.support import objects
from benchmarks.support.command import check_outputs, positive, run
from benchmarks.support.comparison import compare
from benchmarks.support.machine import commit
from benchmarks.support.network import prepare
from benchmarks.support.pictures import chosen_pictures
from benchmarks.support.results import markdown_table, write_result
from mobileinst.network import ModelConfig
from mobileinst.segmenter import network_size
from mobileinst.weights import load_weights


def made_frame(height: int, width: int) -> NDArray[np.uint8]:
    """A picture of soft light and a dozen textured discs, where no photograph is given."""
    generator = np.random.default_rng(11)
    y, x = np.mgrid[:height, :width]
    image = np.stack([90 + 60 * np.sin(x / 170 + k) + 40 * np.cos(y / 110 - k) for k in range(3)], -1)
    for _ in range(12):
        row, column = generator.uniform(0, height), generator.uniform(0, width)
        radius = generator.uniform(0.05, 0.25) * height
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[inside] = generator.uniform(0, 255, 3) + generator.normal(0, 20, (int(inside.sum()), 3))
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def stage_table(cases: list[dict[str, Any]]) -> str:
    """Median milliseconds of the stages: before the network, the network, after it."""
    rows = []
    for case in cases:
        for name, x in case["results"].items():
            stages = [x["stages"].get(stage, 0.0) for stage in ("preprocess", "network", "post")]
            share = stages[2] / max(sum(stages), 1e-9)
            rows.append([f"{case['label']}, {name}", *(f"{ms:.2f}" for ms in stages), f"{share:.1%}"])
    return markdown_table(["case", "preprocess ms", "network ms", "post ms", "post share"], rows)


def ratio_table(cases: list[dict[str, Any]], posts: list[str]) -> str:
    """The fastest other engine of each precision over our fastest for each way of post-processing, of medians
    and, in brackets, of minima."""
    found = {parse_entry(name)[1] for case in cases for name in case["results"] if not is_ours(name)}
    columns = list(product(posts, sorted(found, key=PRECISIONS.index)))
    rows = [
        [case["label"], *(_frame_ratio(case["results"], post, precision) for post, precision in columns)]
        for case in cases
    ]
    heads = [f"{post}, {precision}" for post, precision in columns]
    return markdown_table(["fastest other engine / mobileinst", *heads], rows)


def _frame_ratio(results: dict[str, dict[str, Any]], post: str, precision: str) -> str:
    ours = [x for name, x in results.items() if is_ours(name) and "+" not in name]
    others = [
        x
        for name, x in results.items()
        if name.endswith(f"+{post}") and not is_ours(name) and parse_entry(name)[1] == precision
    ]
    if not ours or not others:
        return "-"
    return "{:.2f} ({:.2f})".format(
        *(min(x[key] for x in others) / min(x[key] for x in ours) for key in ("median_ms", "min_ms"))
    )


def object_logits(pictures: list[Path], size: tuple[int, int], count: int, seed: int = 9) -> tuple[Any, str]:
    """Mask logits float32 (count, h, w) for a network's input of that size, and where they come from."""
    shape = size[0] // 8, size[1] // 8
    found: list[Any] = []
    source = "ellipses with soft borders"
    if pictures:
        found = objects.found_objects(map(objects.read_picture, pictures), size)
        source = f"{len(found)} objects that the default weights find in {len(pictures)} pictures, repeated"
        source += " at other places where more are needed"
        # small and large ones in turn, wherever the count cuts the list
        found = [found[i] for i in np.random.default_rng(seed).permutation(len(found))]
    return objects.place(found or objects.ellipses(3 * count, shape), count), source


def earlier_cases(path: Path | None, labels: set[str]) -> list[dict[str, Any]]:
    """The cases of a file that this run does not measure again.

    Raises:
        SystemExit: if they were measured with other code.
    """
    if path is None or not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["commit"] != commit():
        sys.exit(f"{path} is of commit {document['commit']}, this is {commit()}: leave out --merge")
    return [case for case in document["cases"] if case["label"] not in labels]


def contestants_of(names: list[str], posts: list[str]) -> list[str]:
    """Pipelines of engines in precisions: ours and, for each other one, every way of post-processing."""
    found = []
    for name in names:
        ways = ["", "+segment"] if is_ours(name) else [f"+{post}" for post in posts]
        found += [name + way for way in ways]
    return found


def make_parser() -> argparse.ArgumentParser:
    """The options; OpenVINO is left to those who name it, since it has hung in this benchmark."""
    parser = shared_options(__doc__)
    parser.set_defaults(contestants=["mobileinst", "onnxruntime", "ncnn", "mnn"], threads=[1])
    parser.add_argument("--image", type=Path, help="picture or video, instead of a made frame")
    parser.add_argument("--pictures", type=Path, nargs="*", help="pictures or videos with objects")
    parser.add_argument(
        "--sizes", type=positive, nargs="+", help="default: that of the default weights, and 640"
    )
    parser.add_argument("--instances", type=positive, nargs="+", default=[1, 10, 30, 100])
    parser.add_argument("--posts", nargs="+", default=["usual", "boxed"], choices=["usual", "boxed"])
    parser.add_argument("--backbone", default="topformer_b", help="of the random weights")
    parser.add_argument("--width", type=int, default=128, help="of the random weights' mask decoder")
    parser.add_argument("--merge", action="store_true", help="keep the other cases in --output")
    return parser


def main() -> None:
    parser = make_parser()
    options = parser.parse_args()
    check_outputs(options)
    frame_size, sizes = (720, 1280), options.sizes or [load_weights().size, 640]
    if options.quick:
        frame_size, sizes, options.instances, options.rounds = (48, 64), [64], [2], 2
        options.backbone, options.width, options.pictures = "topformer_t", 32, options.pictures or []
    options.folder.mkdir(parents=True, exist_ok=True)
    frame = objects.read_picture(options.image) if options.image else made_frame(*frame_size)
    image = options.folder / f"frame-{frame.shape[0]}x{frame.shape[1]}.npy"
    np.save(image, frame)
    calibration = chosen_pictures(options, needed=needs_ranges(entries_of(options)))
    config = ModelConfig(options.backbone, width=options.width)
    if options.weights:
        config = load_weights(options.weights).config
    pictures = objects.shared_pictures() if options.pictures is None else options.pictures
    if max(options.instances) > config.queries:
        parser.error(f"--instances: expected at most {config.queries}, the network's queries")

    names = contestants_of(entries_of(options), options.posts)
    todo = {
        f"{frame.shape[1]}x{frame.shape[0]} at {size}, {count} instances, {threads}t": (size, count, threads)
        for size, count, threads in product(sizes, options.instances, options.threads)
    }
    cases = earlier_cases(options.output, set(todo)) if options.merge else []
    with (options.folder / "engines.log").open("a", encoding="utf-8") as log:
        for label, (size, count, threads) in todo.items():
            height, width = network_size((frame.shape[0], frame.shape[1]), size)
            case = Case(config.backbone, config.width, height, width, "masks", threads)
            files = prepare(case, options.folder, options.weights, calibration)
            logits, source = object_logits(pictures, (height, width), count)
            masks = options.folder / f"masks-{count}-{height}x{width}.npy"
            np.save(masks, logits)
            loaded = load_weights(files.weights)
            shared = {"image": str(image), "masks": str(masks), "mean": loaded.mean, "std": loaded.std}
            frames = {name: {**shared, "post": name.partition("+")[2] or "own"} for name in names}
            found = compare(names, case, files, options.rounds, log, frames=frames, label=label)
            cases.append({**found, "instances": count, "masks": objects.describe(logits, source)})
            cases.sort(key=lambda x: (x["case"]["threads"], x["case"]["height"], x["instances"]))
            document = report(cases, "frame", names)
            more = "\n".join(["", ratio_table(cases, options.posts), stage_table(cases), mask_notes(cases)])
            table = format_report(document) + more
            write_result(document, table, options)
    print(table, end="")
    check_ours(cases)


def mask_notes(cases: list[dict[str, Any]]) -> str:
    """Which masks each case turned into run lengths."""
    return "".join(f"{case['label']}: {case['masks']}.\n\n" for case in cases)


if __name__ == "__main__":
    run(main)
