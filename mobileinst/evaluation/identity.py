"""Identities in videos: switches, fragmentation, MOTA (CLEAR MOT) and IDF1, on masks.

CLEAR MOT: Bernardin and Stiefelhagen, 2008. IDF1: Ristani et al., 2016. A mask and an object fit together
where their IoU in a frame is at least the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..tracking.assignment import linear_assignment
from .files import read_measured
from .run_lengths import MaskTrack, frame_intersections
from .youtube_vis import grouped, track_of

_Sum = TypeVar("_Sum", bound="Counts")


@dataclass(frozen=True)
class Counts:
    """Counts that add up with ``+``, and properties that follow from them."""

    def __add__(self: _Sum, other: _Sum) -> _Sum:
        return type(self)(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_dict(self) -> dict[str, float]:
        """Counts and properties, ready for JSON."""
        derived = [name for name, member in vars(type(self)).items() if isinstance(member, property)]
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


@dataclass(frozen=True)
class IdentityCounts(Counts):
    """Counts of one or more videos.

    Attributes:
        objects: annotated masks, over all frames (crowds left out).
        predictions: predicted masks, over all frames (those that lie in a crowd left out).
        matches: masks matched frame by frame.
        switches: times that an object is matched to another track than the one it was last matched to.
        fragments: times that an object, seen in the annotations, is lost and found again (by any track).
        identity_matches: masks matched under the one-to-one pairing of objects with tracks that matches most.
        tracks: annotated objects.  mostly_tracked: those matched in at least 80 % of their frames.
        mostly_lost: those matched in less than 20 %.
    """

    objects: int = 0
    predictions: int = 0
    matches: int = 0
    switches: int = 0
    fragments: int = 0
    identity_matches: int = 0
    tracks: int = 0
    mostly_tracked: int = 0
    mostly_lost: int = 0

    @property
    def misses(self) -> int:
        """Annotated masks without a match."""
        return self.objects - self.matches

    @property
    def false_positives(self) -> int:
        """Predicted masks without a match."""
        return self.predictions - self.matches

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / objects; -1 without objects. Can be below 0."""
        errors = self.misses + self.false_positives + self.switches
        return 1 - errors / self.objects if self.objects else -1.0

    @property
    def idf1(self) -> float:
        """2 * identity matches / (objects + predictions); -1 where there is neither."""
        total = self.objects + self.predictions
        return 2 * self.identity_matches / total if total else -1.0

    @property
    def id_precision(self) -> float:
        """Identity matches / predictions; -1 without predictions."""
        return self.identity_matches / self.predictions if self.predictions else -1.0

    @property
    def id_recall(self) -> float:
        """Identity matches / objects; -1 without objects."""
        return self.identity_matches / self.objects if self.objects else -1.0


def evaluate(
    gt: Any,
    results: Any,
    *,
    classes: Sequence[str] | None = None,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
    any_class: bool = False,
) -> IdentityCounts:
    """Identities of results in YouTube-VIS format, all videos together.

    Args:
        gt, results: as :func:`.youtube_vis.evaluate`.
        classes: as there. Annotations and results are compared per class.
        iou_threshold: IoU from which a mask and an object fit together, in (0, 1].
        score_threshold: tracks of a lower score don't count: a results file made for average precision holds
            many that no one would be shown.
        any_class: compare without regard to classes.
    """
    data, chosen = shown_tracks(gt, results, classes, iou_threshold, score_threshold)
    known = {category["id"] for category in data["categories"]}
    videos = {video["id"]: video for video in data["videos"]}
    total = IdentityCounts()
    truths = grouped(data["annotations"], known, any_class=any_class)
    found = grouped(chosen, known, any_class=any_class)
    for key in sorted({*truths, *found}):
        video = videos.get(key[0])
        if video is None:
            continue
        objects, tracks, crowds = masks_of(video, truths.get(key, []), found.get(key, []))
        total += compare(objects, tracks, iou_threshold, crowds)
    return total


def shown_tracks(
    gt: Any, results: Any, classes: Sequence[str] | None, iou_threshold: float, score_threshold: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations, and results of a score from the threshold on, each with its "id"; as :func:`evaluate`."""
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"expected an IoU threshold above 0 and up to 1, got {iou_threshold}")
    data, predictions = read_measured(gt, results, "videos", classes)
    return data, [result for result in predictions if result["score"] >= score_threshold]


def best_class_only(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Results with each track in its best class only, as a user would be shown it.

    Files for average precision may hold a track once for each class; :mod:`.runner` says so by "track_id".
    Results without it are kept.
    """
    best: dict[Any, Mapping[str, Any]] = {}
    for index, result in enumerate(results):
        key = (result.get("video_id"), result["track_id"]) if "track_id" in result else index
        if key not in best or result["score"] > best[key]["score"]:
            best[key] = result
    return [dict(result) for result in best.values()]


def masks_of(
    video: Mapping[str, Any], truths: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> tuple[list[MaskTrack], list[MaskTrack], list[MaskTrack]]:
    """Annotated objects, predicted tracks, and crowds."""
    objects, crowds = (
        [track_of(t, video, f"annotation {t['id']}") for t in truths if bool(t.get("iscrowd")) == crowd]
        for crowd in (False, True)
    )
    return objects, [track_of(r, video, f"result {r['id']}") for r in found], crowds


class FrameMatches(NamedTuple):
    """Which of D tracks is on which of G objects, frame by frame.

    seen: bool (G, frames), where objects are.  shown: bool (D, frames), where tracks are.
    fits: bool (G, D, frames), where they overlap enough.
    assigned: int64 (G, frames), the track on an object, -1 for none; one to one in each frame.
    ignored: bool (D, frames), masks in crowds that are on no object.
    """

    seen: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    fits: NDArray[np.bool_]
    assigned: NDArray[np.int64]
    ignored: NDArray[np.bool_]


def match_frames(
    objects: Sequence[MaskTrack],
    tracks: Sequence[MaskTrack],
    iou_threshold: float = 0.5,
    crowds: Sequence[MaskTrack] = (),
) -> FrameMatches:
    """Match annotated objects with predicted tracks, frame by frame; pairs of before stay while they fit.

    A predicted mask that fits no object and lies in `crowds` by at least the threshold's share is ignored.
    """
    frames = max((len(track.areas) for track in (*objects, *tracks)), default=0)
    seen, shown = _areas(objects, frames) > 0, _areas(tracks, frames) > 0
    iou = _frame_ious(objects, tracks, frames)
    fits = iou >= iou_threshold
    assigned, last = np.full(seen.shape, -1), np.full(len(objects), -1)
    for frame in range(frames):
        assigned[:, frame] = _match_frame(iou[:, :, frame], fits[:, :, frame], last)
        last = np.where(assigned[:, frame] >= 0, assigned[:, frame], last)
    ignored = _in_crowds(tracks, crowds, frames, iou_threshold) & ~_taken(assigned, shown.shape)
    return FrameMatches(seen, shown, fits, assigned, ignored)


def compare(
    objects: Sequence[MaskTrack],
    tracks: Sequence[MaskTrack],
    iou_threshold: float = 0.5,
    crowds: Sequence[MaskTrack] = (),
) -> IdentityCounts:
    """Identity counts of one video, from its :func:`match_frames`."""
    seen, shown, fits, assigned, ignored = match_frames(objects, tracks, iou_threshold, crowds)
    switches = fragments = mostly_tracked = mostly_lost = 0
    for g in range(len(objects)):
        path = assigned[g, seen[g]]
        hits = path[path >= 0]
        switches += int((np.diff(hits) != 0).sum())
        # Each run of matched frames after the first one means: lost and found again.
        fragments += max(int((np.diff((path >= 0).astype(int), prepend=0) == 1).sum()) - 1, 0)
        mostly_tracked += len(path) > 0 and len(hits) >= 0.8 * len(path)
        mostly_lost += len(path) > 0 and len(hits) < 0.2 * len(path)
    return IdentityCounts(
        objects=int(seen.sum()),
        predictions=int((shown & ~ignored).sum()),
        matches=int((assigned >= 0).sum()),
        switches=switches,
        fragments=fragments,
        identity_matches=_identity_matches((fits & ~ignored[None]).sum(2)),
        tracks=int(seen.any(1).sum()),
        mostly_tracked=mostly_tracked,
        mostly_lost=mostly_lost,
    )


def _areas(tracks: Sequence[MaskTrack], frames: int) -> NDArray[np.int64]:
    return np.array([track.areas for track in tracks], np.int64).reshape(len(tracks), frames)


def _frame_ious(
    objects: Sequence[MaskTrack], tracks: Sequence[MaskTrack], frames: int
) -> NDArray[np.float64]:
    """IoU of each object with each track in each frame, float64 (G, D, frames); 0 for empty masks."""
    iou = np.zeros((len(objects), len(tracks), frames))
    areas = _areas(tracks, frames)
    for g, one in enumerate(objects):
        shared = frame_intersections(one, tracks)
        union = areas + one.areas - shared
        iou[g] = np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
    return iou


def _match_frame(
    iou: NDArray[np.float64], fits: NDArray[np.bool_], last: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Track of each object in one frame, -1 for none: pairs of before stay while they fit."""
    assigned = np.full(len(iou), -1, np.int64)
    for g in np.flatnonzero(last >= 0):
        if fits[g, last[g]] and last[g] not in assigned:
            assigned[g] = last[g]
    rows = np.flatnonzero((assigned < 0) & fits.any(1))
    columns = np.setdiff1d(np.flatnonzero(fits.any(0)), assigned)
    if len(rows) and len(columns):
        # A pair that doesn't fit gains nothing, so that as many as possible fit, then the IoU is greatest.
        gain = np.where(fits, iou + len(iou), 0.0)[np.ix_(rows, columns)]
        for i, j in zip(*linear_assignment(-gain), strict=True):
            if gain[i, j] > 0:
                assigned[rows[i]] = columns[j]
    return assigned


def _taken(assigned: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    taken = np.zeros(shape, np.bool_)
    _, frames = np.nonzero(assigned >= 0)
    taken[assigned[assigned >= 0], frames] = True
    return taken


def _in_crowds(
    tracks: Sequence[MaskTrack], crowds: Sequence[MaskTrack], frames: int, share: float
) -> NDArray[np.bool_]:
    """Where at least this share of a track's mask lies in one crowd: bool (D, frames)."""
    areas = _areas(tracks, frames)
    inside = np.zeros(areas.shape, np.bool_)
    for crowd in crowds:
        inside |= (areas > 0) & (frame_intersections(crowd, tracks) >= share * areas)
    return inside


def _identity_matches(together: NDArray[np.int64]) -> int:
    """Most frames that a one-to-one pairing of objects with tracks can match; `together` is (G, D)."""
    if not together.size:
        return 0
    rows, columns = linear_assignment(-together)
    return int(together[rows, columns].sum())
