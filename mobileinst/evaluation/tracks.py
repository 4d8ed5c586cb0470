"""Precision and recall of whole tracks, and false tracks per minute, of each class.

A track is true if one object of its class is under it in at least half of the frames that show it; an object
is followed if tracks of its class are on it in at least half of the frames where it is seen. Masks are
matched with objects frame by frame, one to one, as in :mod:`.identity`: a second track on an object is
false, one that goes on under a new id is not. What lies in crowds is not judged.

A video's "all_instances_labelled" says whether every object of the classes annotated in it is marked. Where
it is false, tracks are not judged (objects are); where it is true, only those of these classes. Without that
key every object of every class is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..io.tables import text_table
from .identity import Counts, masks_of, match_frames, shown_tracks
from .report import percent
from .youtube_vis import grouped

#: Frames a second of videos that don't say theirs under "fps".
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class TrackCounts(Counts):
    """Counts that add up over videos.

    objects: annotated ones that are seen.  followed: those of them that tracks follow.
    shown: tracks that are judged.  true: those of them that are on an object.
    minutes: of the videos in which tracks are judged.
    """

    objects: int = 0
    followed: int = 0
    shown: int = 0
    true: int = 0
    minutes: float = 0.0

    @property
    def precision(self) -> float:
        """True tracks / shown ones; -1 where none are judged."""
        return self.true / self.shown if self.shown else -1.0

    @property
    def recall(self) -> float:
        """Followed objects / objects; -1 without objects."""
        return self.followed / self.objects if self.objects else -1.0

    @property
    def false_per_minute(self) -> float:
        """False tracks in a minute of video; -1 where tracks are judged in no video."""
        return (self.shown - self.true) / self.minutes if self.minutes else -1.0


def evaluate(
    gt: Any,
    results: Any,
    *,
    classes: Sequence[str] | None = None,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
    fps: float = DEFAULT_FPS,
) -> dict[str, TrackCounts]:
    """Counts of each class by its name, all videos together.

    Args:
        gt, results, classes, iou_threshold, score_threshold: as :func:`.identity.evaluate`; each track
            should be there in one class only (:func:`.identity.best_class_only`).
        fps: frames a second of the videos, where they have no "fps" of their own.

    Raises:
        ValueError: for a threshold or a rate that can't be.
    """
    if not fps > 0:
        raise ValueError(f"expected frames a second above 0, got {fps}")
    data, chosen = shown_tracks(gt, results, classes, iou_threshold, score_threshold)
    names = {category["id"]: category["name"] for category in data["categories"]}
    truths, found = (grouped(entries, set(names)) for entries in (data["annotations"], chosen))
    counts = {name: TrackCounts() for name in names.values()}
    for video in data["videos"]:
        for category, name in names.items():
            key = video["id"], category
            counts[name] += _count(video, truths.get(key, []), found.get(key, []), iou_threshold, fps)
    return counts


def _count(
    video: Mapping[str, Any],
    truths: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    iou_threshold: float,
    fps: float,
) -> TrackCounts:
    """Of one class in one video."""
    objects, tracks, crowds = masks_of(video, truths, found)
    frames = match_frames(objects, tracks, iou_threshold, crowds)
    seen, hit = frames.seen.sum(1), (frames.assigned >= 0).sum(1)
    counts = TrackCounts(int((seen > 0).sum()), int(((seen > 0) & (2 * hit >= seen)).sum()))
    labelled = video.get("all_instances_labelled")
    if labelled is not None and not (labelled and truths):
        return counts
    judged = (frames.shown & ~frames.ignored).sum(1)
    on_one = [max(((frames.assigned == d).sum(1)), default=0) for d in range(len(tracks))]
    true = sum(n > 0 and 2 * on >= n for on, n in zip(on_one, judged, strict=True))
    minutes = video.get("length", frames.seen.shape[1]) / video.get("fps", fps) / 60
    return counts + TrackCounts(shown=int((judged > 0).sum()), true=int(true), minutes=float(minutes))


def track_table(counts: Mapping[str, TrackCounts]) -> str:
    """The counts as text."""
    rows = [["class", "objects", "followed", "recall", "tracks", "true", "precision", "false/min"]]
    for name, one in counts.items():
        rate = "-" if one.false_per_minute < 0 else f"{one.false_per_minute:.1f}"
        found = [str(one.objects), str(one.followed), percent(one.recall)]
        rows.append([name, *found, str(one.shown), str(one.true), percent(one.precision), rate])
    return text_table(rows)
