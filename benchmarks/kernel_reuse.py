"""How long a kernel stays good: masks of a keyframe's kernels on later frames.

    python -m benchmarks.kernel_reuse --data DIR --weights A.safetensors B.safetensors --output reuse

For every frame t of the videos that `tracking` uses, and every object in it, the query whose mask fits best
is taken (IoU of at least 0.5). Its kernel is then used on the mask features of frame t + d (reused), beside
the best of all queries of t + d (fresh), and the kernel of t + d with the greatest cosine similarity is asked
for the same object (found again: IoU of at least 0.5). Masks are compared at the resolution of the mask
features. No thresholds, classes or tracks take part. Writes OUTPUT.json and OUTPUT.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.command import run
from benchmarks.support.results import markdown_table, write_json
from benchmarks.support.videos import Video, all_videos, make_report, parse_options
from mobileinst import Segmenter
from mobileinst.evaluation.files import CategoryMap
from mobileinst.evaluation.run_lengths import frame_runs
from mobileinst.masks.overlap import mask_iou
from mobileinst.network.selection import windowed_logits
from mobileinst.segmenter import MASK_LOGIT
from mobileinst.tracking import cosine_similarity

#: Distances d in frames. T = 3 reuses kernels over 1 and 2.
DISTANCES = (0, 1, 2, 4, 7)
LEAST_IOU = 0.5

Product = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass
class Sums:
    """What is added up over objects and frames at one distance."""

    reused: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    again: list[bool] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Means in percent."""
        means = {name: 100 * float(np.mean(getattr(self, name))) for name in ("reused", "fresh", "again")}
        return {"pairs": len(self.reused), **means}


def object_masks(video: Video, segmenter: Segmenter, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks of the annotated objects at the mask features' resolution: bool (frames, objects, h, w)."""
    mapping = CategoryMap.of(video.dataset["categories"], segmenter.classes)
    record = video.dataset["videos"][0]
    height, width = record["height"], record["width"]
    rows = ((np.arange(size[0]) + 0.5) * height / size[0]).astype(np.int64)
    columns = ((np.arange(size[1]) + 0.5) * width / size[1]).astype(np.int64)
    annotations = mapping.annotations(video.dataset)["annotations"]
    masks = np.zeros((len(video.frames), len(annotations), *size), np.bool_)
    for k, annotation in enumerate(annotations):
        for t, segmentation in enumerate(annotation["segmentations"]):
            if segmentation is not None:
                runs = frame_runs(segmentation, height, width)
                whole = np.repeat(np.arange(len(runs)) % 2 > 0, runs).reshape(width, height).T
                masks[t, k] = whole[rows][:, columns]
    return masks


def measure(weights: str | None, videos: Sequence[Video], size: int | None) -> dict[str, Any]:
    """All groups of videos and all distances, with one weights file."""
    segmenter = Segmenter(weights, size=size)
    sums: dict[tuple[str, int], Sums] = {}
    for video in videos:
        print(f"{weights or 'default'}: {video.name}", file=sys.stderr)
        kernels, features = [], []
        for frame in video.frames:
            session = segmenter._features(frame)
            kernels.append(session.run_instances()[2])
            features.append(np.array(session.mask_features()))
        truth = object_masks(video, segmenter, features[0].shape[1:])
        product = windowed_logits if segmenter.config.query_source == "places" else plain_logits
        for key, found in compare(kernels, features, truth, product).items():
            total = sums.setdefault((video.groups[0], key), Sums())
            total.reused += found.reused
            total.fresh += found.fresh
            total.again += found.again
    rows = [{"set": group, "distance": d, **one.row()} for (group, d), one in sums.items()]
    return {"weights": Path(weights).name if weights else "default", "size": segmenter.size, "rows": rows}


def compare(
    kernels: Sequence[NDArray[np.float32]],
    features: Sequence[NDArray[np.float32]],
    truth: NDArray[np.bool_],
    product: Product | None = None,
) -> dict[int, Sums]:
    """The measures of one video by distance; kernels (N, D) and features (D, h, w) of each frame.

    ``product`` makes mask logits (N, h, w) of both; None for :func:`plain_logits`.
    """

    def overlaps(
        kernels: NDArray[np.float32], features: NDArray[np.float32], masks: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """IoU of the masks of kernels with masks: (kernels, masks)."""
        return mask_iou((product or plain_logits)(kernels, features) > MASK_LOGIT, masks)

    own = [overlaps(k, f, t) for k, f, t in zip(kernels, features, truth, strict=True)]
    found = {distance: Sums() for distance in DISTANCES}
    for t, overlap in enumerate(own):
        queries = np.argmax(overlap, 0)
        for distance, sums in found.items():
            later = t + distance
            if later >= len(own):
                continue
            seen = np.flatnonzero((np.max(overlap, 0) >= LEAST_IOU) & truth[later].any((1, 2)))
            chosen = kernels[t][queries[seen]]
            sums.reused += np.diag(overlaps(chosen, features[later], truth[later][seen])).tolist()
            sums.fresh += np.max(own[later], 0)[seen].tolist()
            nearest = np.argmax(cosine_similarity(chosen, kernels[later]), 1)
            sums.again += (own[later][nearest, seen] >= LEAST_IOU).tolist()
    return found


def plain_logits(kernels: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mask logits (N, h, w): the product of kernels and mask features (paper)."""
    return np.tensordot(kernels, features, 1)


def markdown(report: Mapping[str, Any]) -> str:
    """The numbers as a table."""
    intro = (
        f"Measured {report['date']} with mobileinst {report['version']}; {report['clips']} made clips of "
        f"each kind, seed {report['seed']}. Means in percent over objects and frames.\n\n"
    )
    means = ("IoU reused", "IoU fresh", "found again by cosine")
    header = ("weights", "size", "set", "distance", "pairs", *means)
    rows = [
        [one["weights"], str(one["size"]), row["set"], str(row["distance"]), str(row["pairs"])]
        + [f"{row[name]:.1f}" for name in ("reused", "fresh", "again")]
        for one in report["runs"]
        for row in one["rows"]
    ]
    return intro + markdown_table(header, rows)


def main() -> None:
    options = parse_options(__doc__)
    videos = list(all_videos(options.data, options.clips, options.seed))
    runs = [measure(weights, videos, options.size) for weights in options.weights or [None]]
    report = make_report("kernel_reuse", options, runs)
    write_json(report, options.output.with_suffix(".json"))
    options.output.with_suffix(".md").write_text(markdown(report), encoding="utf-8")
    print(f"wrote {options.output}.json and .md")


if __name__ == "__main__":
    run(main)
