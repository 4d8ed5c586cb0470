"""How well pieces of a video that are tracked apart and joined agree with the whole video's tracks.

For each object in each frame of the whole video's results: whether the joined results have a mask there (an
IoU of at least 0.5), and whether it has the id that stands for this object (ids are paired one to one so that
most object-frames agree); and how many frames are equal, to the bit of every mask, score and id. Sources are
videos or folders of images.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.support.command import check_outputs, make_parser, run
from benchmarks.support.results import make_result, markdown_table, write_result
from mobileinst import Instances, Segmenter
from mobileinst.batch.candidates import Prober, find_candidates
from mobileinst.batch.join import Joiner
from mobileinst.batch.options import Options
from mobileinst.batch.pieces import OVERLAP, cut
from mobileinst.tracking import Tracker
from mobileinst.tracking.assignment import linear_assignment
from mobileinst.video import FrameSource, open_source


def whole(source: FrameSource, segmenter: Segmenter) -> list[Instances]:
    """The results of the source in one piece."""
    return list(segmenter.track(source.images(), tracker=Tracker()))


def joined(
    source: FrameSource, segmenter: Segmenter, seconds: float, overlap: int
) -> tuple[list[Instances], int]:
    """The results of pieces, and how many there were."""
    options = Options(split=seconds)
    plan = cut(source, options, overlap)
    if plan is None:
        return [], 0
    joiner = Joiner(segmenter.classes, options.tracker(), Prober(source, segmenter, options))

    def frames() -> Iterator[Instances]:
        for piece in plan.pieces:
            results = find_candidates(source, piece, segmenter, options, lambda *_: None)
            yield from joiner.add(piece, results)

    return list(frames()), len(plan.pieces)


def pairs(a: Instances, b: Instances) -> list[tuple[int, int]]:
    """Ids of the masks of two results of a frame that are the same."""
    if not len(a) or not len(b):
        return []
    first = a.masks()[:, ::2, ::2].reshape(len(a), -1).astype(np.float32)
    second = b.masks()[:, ::2, ::2].reshape(len(b), -1).astype(np.float32)
    both = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1) - both
    iou = both / np.maximum(union, 1)
    rows, columns = linear_assignment(-iou)
    return [(int(a.ids[r]), int(b.ids[c])) for r, c in zip(rows, columns, strict=True) if iou[r, c] >= 0.5]


def agreement(expected: Sequence[Instances], found: Sequence[Instances]) -> dict[str, int]:
    """Object-frames of the whole, those with a mask in the joined results, and those with the right id."""
    seen: Counter[tuple[int, int]] = Counter()
    for a, b in zip(expected, found, strict=True):
        seen.update(pairs(a, b))
    ids, other = (sorted({pair[i] for pair in seen}) for i in (0, 1))
    counts = np.array([[seen[i, j] for j in other] for i in ids], np.float64).reshape(len(ids), len(other))
    right = float(counts[linear_assignment(-counts)].sum()) if counts.size else 0.0
    return {"objects": sum(len(a) for a in expected), "found": sum(seen.values()), "right": int(right)}


def identical(expected: Sequence[Instances], found: Sequence[Instances]) -> int:
    """How many frames have the same results."""
    return sum(a.to_dict() == b.to_dict() for a, b in zip(expected, found, strict=True))


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0], help="lengths of pieces")
    parser.add_argument("--overlap", type=int, nargs="+", default=[OVERLAP], help="keyframes of overlap")
    options = parser.parse_args()
    check_outputs(options)
    segmenter = Segmenter(threads=1)
    rows = []
    for name in options.sources:
        source = open_source(name)
        expected = whole(source, segmenter)
        for seconds in options.seconds:
            for overlap in options.overlap:
                found, pieces = joined(source, segmenter, seconds, overlap)
                if not pieces:
                    continue
                row = {"source": Path(name).name, "frames": len(expected), "seconds": seconds}
                row |= {"overlap": overlap, "pieces": pieces}
                row |= {**agreement(expected, found), "equal frames": identical(expected, found)}
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    columns = ["source", "frames", "seconds", "overlap", "pieces", "objects", "found", "right"]
    columns.append("equal frames")
    table = markdown_table(
        [*columns, "share right"],
        (
            [*(row[name] for name in columns), f"{100 * row['right'] / max(row['objects'], 1):.1f} %"]
            for row in rows
        ),
    )
    print(table)
    write_result(make_result("split", sources=rows), table, options)


if __name__ == "__main__":
    run(main)
