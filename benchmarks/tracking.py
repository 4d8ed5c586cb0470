"""Identities and track AP over the keyframe interval and the rule of association.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.tracking --data DIR --output benchmarks/results/tracking

Measures every weights file on two sets: the videos of data/davis_val, and clips made of data/coco_val with
crossings, occlusions, exits and re-entries (support/made_clips.py). Writes OUTPUT.json, OUTPUT.md and
OUTPUT.svg. Each frame goes through the network once; trackers then run on the recording, so that all compare
on the same outputs. (One thread for NumPy: its matrices here are small.)
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support import charts
from benchmarks.support.charts import Figure, Panel
from benchmarks.support.command import run
from benchmarks.support.recorded import RecordedModel
from benchmarks.support.results import markdown_table, write_json
from benchmarks.support.videos import Video, all_videos, make_report, parse_options
from mobileinst import Segmenter
from mobileinst.evaluation import identity, youtube_vis
from mobileinst.evaluation.files import CategoryMap
from mobileinst.evaluation.identity import IdentityCounts, best_class_only
from mobileinst.evaluation.run_lengths import mask_ious
from mobileinst.evaluation.runner import track_video
from mobileinst.evaluation.youtube_vis import track_of
from mobileinst.masks.overlap import mask_iou
from mobileinst.tracking import Keyframe, Tracker, eligible, pair

INTERVALS = (1, 2, 3, 5, 8)
MIN_OVERLAP = 0.1
#: Tracks begin at this score where average precision is measured.
AP_SCORE = 0.1


def overlap_association(tracker: Tracker, keyframe: Keyframe) -> list[tuple[int, int]]:
    """Associates by the overlap of masks alone, as trackers by detection do."""
    if keyframe.predicted is None:
        return []
    overlap = mask_iou(keyframe.predicted, keyframe.detections.masks)
    return pair(overlap, (overlap >= MIN_OVERLAP) & eligible(tracker, keyframe))


#: How tracks are continued: name in tables -> tracker.
ASSOCIATIONS: dict[str, Callable[[], Tracker]] = {
    "paper": lambda: Tracker(
        iou_weight=0, min_cosine=-1, keep_ratio=0.02, min_own=0, return_cosine=-1, forget_after=10**6
    ),
    "cosine": lambda: Tracker(iou_weight=0),
    "IoU": lambda: Tracker(association=overlap_association),
    "both": lambda: Tracker(),
}
EXPLAINED = {
    "paper": "cosine without a gate: every track goes on while any candidate is left, none is ever dropped",
    "cosine": "cosine of kernels of at least 0.2, tracks dropped after 10 keyframes without their object",
    "IoU": f"overlap of masks of at least {MIN_OVERLAP} alone, kernels not compared",
    "both": "cosine plus overlap of masks (the default)",
}


Key = tuple[str, int, str]


class Collected:
    """Results and annotations of the videos of each setting: (group of videos, interval, association)."""

    def __init__(self) -> None:
        self.results: dict[Key, list[dict[str, Any]]] = {}
        self.identities: dict[Key, IdentityCounts] = {}
        self.overlaps: dict[Key, list[float]] = {}
        self.datasets: dict[str, dict[str, Any]] = {}

    def add_video(self, group: str, dataset: Mapping[str, Any]) -> None:
        merged = self.datasets.setdefault(
            group, {"videos": [], "categories": dataset["categories"], "annotations": []}
        )
        merged["videos"] += dataset["videos"]
        merged["annotations"] += dataset["annotations"]

    def rows(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """One row of numbers for each setting."""
        rows = []
        for (group, interval, association), results in self.results.items():
            evaluation = youtube_vis.evaluate(self.datasets[group], results, classes=classes)
            counts = self.identities[group, interval, association]
            rows.append(
                {
                    "set": group,
                    "interval": interval,
                    "association": association,
                    **{name: evaluation[name] for name in ("AP", "AP50", "AR10")},
                    "track_iou": statistics.mean(self.overlaps[group, interval, association]),
                    **counts.to_dict(),
                }
            )
        return rows


def measure(weights: str | None, videos: Iterable[Video], size: int | None) -> dict[str, Any]:
    """All intervals and associations on all videos, with one weights file."""
    segmenter = Segmenter(weights, size=size)
    recorded = RecordedModel(segmenter._model)
    segmenter._model = recorded  # type: ignore[assignment]
    collected = Collected()
    for video in videos:
        print(f"{weights or 'default'}: {video.name}", file=sys.stderr)
        mapping = CategoryMap.of(video.dataset["categories"], segmenter.classes)
        for group in video.groups:
            collected.add_video(group, video.dataset)
        for interval, association in itertools.product(INTERVALS, ASSOCIATIONS):
            for threshold in (AP_SCORE, None):
                found = track_video(
                    segmenter,
                    video.frames,
                    video.dataset["videos"][0]["id"],
                    mapping,
                    keyframe_every=interval,
                    score_threshold=threshold,
                    tracker=ASSOCIATIONS[association](),
                )
                for group in video.groups:
                    _collect(collected, (group, interval, association), video, found, threshold, segmenter)
        recorded.forget()
    medians = {part: statistics.median(times) for part, times in recorded.milliseconds.items()}
    return {
        "weights": Path(weights).name if weights else "default",
        "config": segmenter.config.to_dict(),
        "size": segmenter.size,
        "score_threshold": segmenter.weights.score_threshold,
        "frames": len(recorded.milliseconds["features"]),
        "milliseconds": medians,
        "rows": collected.rows(segmenter.classes),
    }


def _collect(
    collected: Collected,
    key: Key,
    video: Video,
    found: list[dict[str, Any]],
    threshold: float | None,
    segmenter: Segmenter,
) -> None:
    """The low threshold is for average precision; identities are those that a user is shown."""
    if threshold is not None:
        collected.results.setdefault(key, []).extend(found)
        return
    shown = best_class_only(found)
    collected.overlaps.setdefault(key, []).extend(best_overlaps(video.dataset, shown, segmenter.classes))
    counts = identity.evaluate(video.dataset, shown, classes=segmenter.classes)
    collected.identities[key] = collected.identities.get(key, IdentityCounts()) + counts


def best_overlaps(
    dataset: Mapping[str, Any], results: Sequence[dict[str, Any]], classes: Sequence[str]
) -> list[float]:
    """For each object of a video the IoU, over all frames, with the track of its class that fits it best.

    Finer than average precision where there are few objects: it falls with every frame on another track.
    """
    mapping = CategoryMap.of(dataset["categories"], classes)
    video = dataset["videos"][0]
    found = [(r["category_id"], track_of(r, video, "result")) for r in mapping.results(results)]
    overlaps = []
    for truth in mapping.annotations(dataset)["annotations"]:
        one = track_of(truth, video, "annotation")
        tracks = [track for category, track in found if category == truth["category_id"]]
        overlaps.append(float(np.max(mask_ious(one, tracks), initial=0.0)))
    return overlaps


def markdown(report: Mapping[str, Any]) -> str:
    """The numbers as tables, a pair for each weights file: whole sets, and the kinds of made clips."""
    text = (
        f"Measured {report['date']} with mobileinst {report['version']}; {report['clips']} made clips of "
        f"each kind, seed {report['seed']}. AP over tracks of a score from {AP_SCORE}, the rest over the "
        "tracks that a user is shown. Track IoU: mean over the objects of the best track's IoU.\n\n"
    )
    text += "".join(f"- **{name}**: {meaning}\n" for name, meaning in EXPLAINED.items())
    for one in report["runs"]:
        text += f"\n### {one['weights']}, size {one['size']}, {one['frames']} frames\n\n"
        text += markdown_table(("set", "association", "T", *_MEASURES), _whole_rows(one))
        text += f"\nKinds of made clips at T = {_KIND_INTERVAL}, switches / fragments / IDF1:\n\n"
        kinds = [k for k in dict.fromkeys(row["set"] for row in one["rows"]) if k not in SETS]
        text += markdown_table(("association", *kinds), _kind_rows(one, kinds))
    return text


SETS = ("davis_val", "made clips")
_KIND_INTERVAL = 3
_MEASURES = (
    "track AP",
    "AP50",
    "track IoU",
    "IDF1",
    "switches",
    "fragments",
    "misses",
    "false masks",
)


def _whole_rows(run: Mapping[str, Any]) -> list[list[str]]:
    rows = [row for row in run["rows"] if row["set"] in SETS]
    rows.sort(key=lambda row: (SETS.index(row["set"]), list(ASSOCIATIONS).index(row["association"])))
    return [
        [
            row["set"],
            row["association"],
            str(row["interval"]),
            *(f"{100 * row[key]:.1f}" for key in ("AP", "AP50", "track_iou", "idf1")),
            *(str(row[key]) for key in ("switches", "fragments", "misses", "false_positives")),
        ]
        for row in rows
    ]


def _kind_rows(run: Mapping[str, Any], kinds: Sequence[str]) -> list[list[str]]:
    values = {(r["association"], r["set"]): r for r in run["rows"] if r["interval"] == _KIND_INTERVAL}
    return [
        [
            name,
            *(
                f"{row['switches']} / {row['fragments']} / {100 * row['idf1']:.0f}"
                for row in (values[name, kind] for kind in kinds)
            ),
        ]
        for name in ASSOCIATIONS
    ]


def picture(report: Mapping[str, Any]) -> Figure:
    """Track AP, IDF1, switches and fragments over T, a row of panels for each weights file and main set."""
    measures = [("AP", "track AP, %", 100), ("track_iou", "track IoU, %", 100), ("idf1", "IDF1, %", 100)]
    measures += [("switches", "switches", 1), ("fragments", "fragments", 1)]
    rows = []
    for one in report["runs"]:
        for group in SETS:
            values = {(r["association"], r["interval"]): r for r in one["rows"] if r["set"] == group}
            if not values:
                continue
            name = f"{Path(one['weights']).stem}, {group}: "
            rows.append(
                [
                    Panel(
                        (name if not i else "") + label,
                        {a: [values[a, t][key] * scale for t in INTERVALS] for a in ASSOCIATIONS},
                    )
                    for i, (key, label, scale) in enumerate(measures)
                ]
            )
    return charts.line_charts(
        "Tracking over the keyframe interval", "keyframe every T frames", INTERVALS, rows
    )


def main() -> None:
    options = parse_options(__doc__)
    runs = [
        measure(weights, all_videos(options.data, options.clips, options.seed), options.size)
        for weights in options.weights or [None]
    ]
    report = make_report("tracking", options, runs)
    write_json(report, options.output.with_suffix(".json"))
    options.output.with_suffix(".md").write_text(markdown(report), encoding="utf-8")
    charts.save(picture(report), options.output.with_suffix(".svg"))
    print(f"wrote {options.output}.json, .md and .svg")


if __name__ == "__main__":
    run(main)
