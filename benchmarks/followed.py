"""How well each annotated object of some videos is followed, with the default options of tracking.

    python -m benchmarks.followed --data DIR --output followed

On the videos of DIR/davis_val and DIR/davis_train (support/videos.py). "Best mask" is the mean over the
frames that show an object of the IoU of whatever mask fits it best; "followed" the share of these frames in
which the track that has the object most often is on it: with the right class, one id and an IoU above 0.5.
Writes OUTPUT.json and OUTPUT.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmarks.support.command import run
from benchmarks.support.results import markdown_table, origin_line
from benchmarks.support.videos import Video, annotated_videos, make_report, parse_options, write_report
from mobileinst import Instances, Segmenter
from mobileinst.evaluation.files import CategoryMap

#: IoU above which a mask is on an object.
ON = 0.5


def overlaps(wanted: dict[str, Any], found: Instances) -> NDArray[np.float64]:
    """IoU (n,) of an object's mask, as run lengths, with those of a frame."""
    if not len(found):
        return np.zeros(0)
    return np.asarray(coco_mask.iou(found.rle(), [wanted], [0]), np.float64)[:, 0]


def follow(
    wanted: Sequence[dict[str, Any] | None], name: str, results: Sequence[Instances]
) -> dict[str, float]:
    """Both measures of one object.

    Args:
        wanted: Its mask in each frame, as run lengths; None where it is not seen.
        name: Its class.
        results: What is tracked in each frame.
    """
    best: list[float] = []
    ids: Counter[int] = Counter()
    for mask, found in zip(wanted, results, strict=True):
        if mask is None:
            continue
        iou = overlaps(mask, found)
        best.append(float(iou.max(initial=0.0)))
        ids.update(int(found.ids[i]) for i in np.flatnonzero(iou > ON) if found.names[i] == name)
    seen = max(len(best), 1)
    return {"frames": len(best), "best": sum(best) / seen, "followed": max(ids.values(), default=0) / seen}


def measure(segmenter: Segmenter, video: Video) -> list[dict[str, Any]]:
    """Each object of a video."""
    mapping = CategoryMap.of(video.dataset["categories"], segmenter.classes)
    names = dict(zip(mapping.ids, mapping.names, strict=True))
    results = list(segmenter.track(video.frames))
    objects = []
    for annotation in video.dataset["annotations"]:
        identity = mapping.to_id.get(annotation["category_id"])
        if identity is not None:
            name = names[identity]
            one = {"set": video.groups[0], "video": video.name, "class": name}
            objects.append(one | follow(annotation["segmentations"], name, results))
    return objects


def markdown(report: dict[str, Any]) -> str:
    """A table for each weights file, with the means of each set."""
    text = origin_line(report) + "\n"
    for one in report["runs"]:
        rows = []
        for group in dict.fromkeys(x["set"] for x in one["objects"]):
            objects = [x for x in one["objects"] if x["set"] == group]
            shown = [*objects, {"video": "mean", "class": "", "frames": sum(x["frames"] for x in objects)}]
            for key in ("best", "followed"):
                shown[-1][key] = sum(x[key] for x in objects) / len(objects)
            for x in shown:
                rows.append([group, x["video"], x["class"], x["frames"]])
                rows[-1] += [f"{x['best']:.3f}", f"{100 * x['followed']:.0f} %"]
        header = ["set", "video", "class", "frames", "best mask", "followed"]
        text += f"\n{one['weights']}, size {one['size']}, {one['precision']}\n\n" + markdown_table(
            header, rows
        )
    return text


def main() -> None:
    options = parse_options(__doc__)
    runs = []
    for weights in options.weights or [None]:
        segmenter = Segmenter(weights, size=options.size)
        objects = []
        for folder in ("davis_val", "davis_train"):
            for video in annotated_videos(options.data / folder):
                print(f"{weights or 'default'}: {video.name}", file=sys.stderr)
                objects += measure(segmenter, video)
        name = Path(weights).name if weights else "default"
        runs.append(
            {"weights": name, "size": segmenter.size, "precision": segmenter.precision, "objects": objects}
        )
    report = make_report("followed", options, runs)
    write_report(report, markdown(report), options)


if __name__ == "__main__":
    run(main)
