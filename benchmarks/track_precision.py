"""Precision and recall of the tracks that a user is shown, and false ones per minute, of each class.

    python -m benchmarks.track_precision --data DIR --output track_precision

On the videos of data/davis_val and data/davis_train, and on clips made of data/coco_val
(support/made_clips.py), with the default options of tracking. mobileinst.evaluation.tracks says what counts:
DAVIS marks one object, so that its tracks are judged only in videos and classes where all are marked. Writes
OUTPUT.json and OUTPUT.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.support.command import run
from benchmarks.support.results import markdown_table, origin_line
from benchmarks.support.videos import (
    Video,
    all_videos,
    annotated_videos,
    make_report,
    parse_options,
    write_report,
)
from mobileinst import Segmenter
from mobileinst.evaluation import tracks
from mobileinst.evaluation.files import CategoryMap
from mobileinst.evaluation.identity import best_class_only
from mobileinst.evaluation.runner import track_video
from mobileinst.evaluation.tracks import TrackCounts

#: DAVIS' frames a second, at which the made clips are taken to run, too.
FPS = 24.0


def measure(weights: str | None, videos: Iterable[Video], size: int | None) -> dict[str, Any]:
    """Counts of each set and class with one weights file."""
    segmenter = Segmenter(weights, size=size)
    sets: dict[str, dict[str, TrackCounts]] = {}
    for video in videos:
        print(f"{weights or 'default'}: {video.name}", file=sys.stderr)
        mapping = CategoryMap.of(video.dataset["categories"], segmenter.classes)
        number = video.dataset["videos"][0]["id"]
        found = track_video(segmenter, video.frames, number, mapping, score_threshold=None)
        counts = tracks.evaluate(video.dataset, best_class_only(found), classes=segmenter.classes, fps=FPS)
        for name, one in counts.items():
            total = sets.setdefault(video.groups[0], {})
            total[name] = total.get(name, TrackCounts()) + one
    return {
        "weights": Path(weights).name if weights else "default",
        "size": segmenter.size,
        "sets": {group: {name: one.to_dict() for name, one in of.items()} for group, of in sets.items()},
    }


def markdown(report: dict[str, Any]) -> str:
    """A table for each weights file."""
    text = origin_line(report) + f"; {report['clips']} made clips of each kind, seed {report['seed']}\n"
    header = ["set, class", "objects", "followed", "recall", "tracks judged", "true", "precision"]
    for one in report["runs"]:
        rows = []
        for group, classes in one["sets"].items():
            for name, counts in classes.items():
                ratios = [counts["recall"], counts["precision"], counts["false_per_minute"]]
                recall, precision, rate = (
                    "-" if value < 0 else f"{scale * value:.1f}"
                    for value, scale in zip(ratios, (100, 100, 1), strict=True)
                )
                row = [f"{group}, {name}", counts["objects"], counts["followed"], recall, counts["shown"]]
                rows.append([*row, counts["true"], precision, rate])
        text += f"\n{one['weights']}, size {one['size']}\n\n"
        text += markdown_table([*header, "false a minute"], rows)
    return text


def main() -> None:
    options = parse_options(__doc__)
    runs = []
    for weights in options.weights or [None]:
        videos = chain(
            annotated_videos(options.data / "davis_train"),
            all_videos(options.data, options.clips, options.seed),
        )
        runs.append(measure(weights, videos, options.size))
    report = make_report("track_precision", options, runs)
    write_report(report, markdown(report), options)


if __name__ == "__main__":
    run(main)
