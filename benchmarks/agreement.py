"""How far masks and ids of tracked clips are those of float32 when the network computes in another precision.

    python -m benchmarks.agreement dog.mp4 cars.mp4 --frames 150 --output agreement.json

Each object of a frame in float32 is paired with the one of the other precision whose mask overlaps it most,
each at most once; an object without a partner counts as an IoU of 0 and another id.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.results import make_result, markdown_table, origin_line, write_result
from mobileinst import Instances, Segmenter
from mobileinst.tracking.assignment import linear_assignment
from mobileinst.video import open_source


def overlaps(a: Instances, b: Instances) -> NDArray[np.float64]:
    """IoU of all masks of one frame with all of another (n, m)."""
    rows = a.masks().reshape(len(a), -1).astype(np.float32)
    columns = b.masks().reshape(len(b), -1).astype(np.float32)
    shared = rows @ columns.T
    union = rows.sum(1)[:, None] + columns.sum(1)[None] - shared
    return np.asarray(shared / np.maximum(union, 1), np.float64)


def compare_frames(plain: Instances, other: Instances) -> list[tuple[float, bool]]:
    """IoU, and whether the id is the same, of each object in float32."""
    if not len(plain) or not len(other):
        return [(0.0, False)] * len(plain)
    iou = overlaps(plain, other)
    pairs = [(int(i), int(j)) for i, j in zip(*linear_assignment(1 - iou), strict=True) if iou[i, j] > 0]
    found = {i: (float(iou[i, j]), bool(plain.ids[i] == other.ids[j])) for i, j in pairs}
    return [found.get(i, (0.0, False)) for i in range(len(plain))]


def measure(clip: Path, frames: int, other: str) -> dict[str, Any]:
    """Mean IoU, object-frames and how many of these have the same id."""
    tracked = []
    for precision in ("fp32", other):
        segmenter = Segmenter(threads=1, precision=precision)
        images = (frame.image for frame in itertools.islice(open_source(clip), frames))
        tracked.append(list(segmenter.track(images)))
    found = [pair for plain, other in zip(*tracked, strict=True) for pair in compare_frames(plain, other)]
    return {
        "objects": len(found),
        "iou": float(np.mean([iou for iou, _ in found])) if found else 0.0,
        "same_ids": sum(same for _, same in found),
    }


def format_table(document: dict[str, Any]) -> str:
    """A row per clip, and one of all objects together."""
    clips = document["clips"]
    objects = sum(x["objects"] for x in clips.values())
    rows = [[name, f"{x['objects']}", f"{x['iou']:.3f}", f"{x['same_ids']}"] for name, x in clips.items()]
    mean = sum(x["iou"] * x["objects"] for x in clips.values()) / max(objects, 1)
    rows.append(["all", f"{objects}", f"{mean:.3f}", f"{sum(x['same_ids'] for x in clips.values())}"])
    heads = [f"{document['precision']} and fp32", "object-frames", "mean IoU", "same id"]
    return f"{origin_line(document)}\n\n" + markdown_table(heads, rows)


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--precision", default="int8", choices=["int8", "fp16"])
    parser.add_argument("--frames", type=positive, default=150, help="of each clip, from its begin")
    options = parser.parse_args()
    check_outputs(options)
    clips = {clip.name: measure(clip, options.frames, options.precision) for clip in options.clips}
    document = make_result("agreement", precision=options.precision, clips=clips)
    table = format_table(document)
    write_result(document, table, options)
    print(table, end="")


if __name__ == "__main__":
    run(main)
