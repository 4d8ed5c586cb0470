"""Time a frame of 1280x720 from its pixels to run lengths, with 1, 10, 30 and 100 instances.

    python benchmarks/frame.py --output frame.json --table frame.md
    python benchmarks/frame.py --contestants mobileinst ncnn --weights W.safetensors --image photo.npy

The other engines do what their users do: OpenCV resizes the frame, NumPy normalises it, then each mask is
resized to the frame, compared with the threshold and encoded by pycocotools ("usual"), or all of that only in
the box around the mask ("boxed"). The instances are the first n queries, whatever their scores.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from contestants.base import Case
from numpy.typing import NDArray
from peers import format_report, report, save, shared_options
from support.comparison import compare
from support.network import prepare
from support.table import markdown_table

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
    return np.clip(image, 0, 255).astype(np.uint8)


def stage_table(cases: list[dict[str, Any]]) -> str:
    """Median milliseconds of the stages: before the network, the network, after it."""
    rows = []
    for case in cases:
        for name, x in case["results"].items():
            stages = [x["stages"].get(stage, 0.0) for stage in ("preprocess", "network", "post")]
            share = stages[2] / max(sum(stages), 1e-9)
            rows.append([f"{case['label']}, {name}", *(f"{ms:.2f}" for ms in stages), f"{share:.1%}"])
    return markdown_table(["case", "preprocess ms", "network ms", "post ms", "post share"], rows)


def main() -> None:
    parser = shared_options(__doc__)
    parser.set_defaults(contestants=["mobileinst", "ncnn", "onnxruntime"], threads=[1])
    parser.add_argument("--image", type=Path, help=".npy file, uint8 (H, W, 3) in RGB, instead of a made one")
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 10, 30, 100])
    parser.add_argument("--posts", nargs="+", default=["usual", "boxed"], choices=["usual", "boxed"])
    parser.add_argument("--backbone", default="topformer_b", help="of the random weights")
    parser.add_argument("--width", type=int, default=128, help="of the random weights' mask decoder")
    options = parser.parse_args()
    frame_size, size = (720, 1280), 640
    if options.quick:
        frame_size, size, options.instances, options.rounds = (48, 64), 64, [2], 2
        options.backbone, options.width = "topformer_t", 32
    options.folder.mkdir(parents=True, exist_ok=True)
    image = options.image
    if image is None:
        image = options.folder / f"frame-{frame_size[0]}x{frame_size[1]}.npy"
        np.save(image, made_frame(*frame_size))
    frame_size = np.load(image, mmap_mode="r").shape[:2]
    config = ModelConfig(options.backbone, width=options.width)
    if options.weights:
        config = load_weights(options.weights).config
    height, width = network_size(frame_size, size)

    names = []
    for name in options.contestants:
        names += [name] if name == "mobileinst" else [f"{name}+{post}" for post in options.posts]
    cases = []
    with (options.folder / "engines.log").open("a", encoding="utf-8") as log:
        for count, threads in product(options.instances, options.threads):
            case = Case(config.backbone, config.width, height, width, "model", threads)
            files = prepare(case, options.folder, options.weights)
            frames = {
                name: {"image": str(image), "instances": count, "post": name.partition("+")[2] or "own"}
                for name in names
            }
            label = f"{frame_size[1]}x{frame_size[0]}, {count} instances, {threads}t"
            cases.append(compare(names, case, files, options.rounds, log, frames=frames, label=label))
            document, stages = report(cases, "frame", names), "\n" + stage_table(cases)
            save(document, options, stages)
    print(format_report(document) + stages, end="")
    if not any("mobileinst" in case["results"] for case in cases):
        sys.exit("mobileinst itself did not run")


if __name__ == "__main__":
    main()
