"""Association: which of a keyframe's candidates continue which tracks.

The paper matches the kernels of keyframes by cosine similarity (:func:`associate_kernels`); what is added for
streams in which objects come and go is ours (:func:`kernel_association`, docs/tracking.md). A rule of one's
own is a function of the same form, given to `Tracker(association=)`; `eligible` and `pair` help to write it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..masks.overlap import mask_iou
from .assignment import linear_assignment

if TYPE_CHECKING:
    from .tracker import Track, Tracker


def cosine_similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of the angles between kernels (m, D) and (n, D): float32 (m, n), 0 where a kernel is zero.

    Example:
        >>> cosine_similarity(np.float32([[2, 0]]), np.float32([[1, 0], [0, 3], [-1, 0]])).tolist()
        [[1.0, 0.0, -1.0]]
    """
    return np.asarray(_normalised(a) @ _normalised(b).T, np.float32)


def associate_kernels(previous: ArrayLike, current: ArrayLike) -> NDArray[np.int64]:
    """The paper's kernel association: all queries, one to one, no thresholds.

    Kernels are L2-normalised and paired so that the summed cosine similarity is greatest (Hungarian). The
    formula is MinVIS's query matching applied to kernels, as the paper describes it.

    Args:
        previous: kernels of the last keyframe in their order of tracks, (m, D).
        current: kernels of this keyframe, (n, D).

    Returns:
        int64 (m,): for each previous kernel the index of its current one, -1 if there are fewer (n < m).

    Raises:
        ValueError: if the shapes don't fit or a value is not finite.

    Example:
        >>> associate_kernels([[1, 0], [0, 1]], [[0.1, 2], [3, 0]]).tolist()
        [1, 0]
    """
    before, now = np.asarray(previous, np.float64), np.asarray(current, np.float64)
    if before.ndim != 2 or now.ndim != 2 or before.shape[1] != now.shape[1]:
        raise ValueError(f"expected kernels (m, D) and (n, D), got shapes {before.shape} and {now.shape}")
    if not (np.isfinite(before).all() and np.isfinite(now).all()):
        raise ValueError("expected finite kernels, got NaN or infinity")
    rows, columns = linear_assignment(1 - _normalised(before) @ _normalised(now).T)
    found = np.full(len(before), -1, np.int64)
    found[rows] = columns
    return found


@dataclass
class Detections:
    """Candidates of one keyframe.

    kernels: float32 (n, D). class_scores: float32 (n, classes), maskness included. masks: bool (n, h, w) at
    the resolution of the mask features.
    """

    kernels: NDArray[np.float32]
    class_scores: NDArray[np.float32]
    masks: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.kernels)


@dataclass(frozen=True)
class Keyframe:
    """What a rule of association sees of a keyframe.

    detections: the candidates. sure: bool (n,), which reach the threshold of their best class. thresholds:
    float32 (classes,), of new tracks. predicted: bool (tracks, h, w), what each track's old kernel masks in
    this frame; None if `Tracker.iou_weight` is 0.
    """

    detections: Detections
    sure: NDArray[np.bool_]
    thresholds: NDArray[np.float32]
    predicted: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        detections: Detections,
        thresholds: NDArray[np.float32],
        predicted: NDArray[np.bool_] | None = None,
    ) -> Keyframe:
        """One whose sure candidates are found by their scores."""
        best = np.argmax(detections.class_scores, 1)
        sure = np.max(detections.class_scores, 1, initial=0) >= thresholds[best]
        return cls(detections, sure, thresholds, predicted)


#: Pairs (index of a track, index of a candidate), one to one.
Association: TypeAlias = Callable[["Tracker", Keyframe], Iterable[tuple[int, int]]]


def eligible(tracker: Tracker, keyframe: Keyframe) -> NDArray[np.bool_]:
    """Which candidates have the scores to continue which tracks: bool (tracks, n).

    Sure ones all; a track that the last keyframe saw also those that keep `keep_ratio` of the threshold of
    its class.
    """
    labels = [track.label for track in tracker.tracks]
    floors = tracker.keep_ratio * keyframe.thresholds[labels][:, None]
    kept = floors <= keyframe.detections.class_scores[:, labels].T
    found: NDArray[np.bool_] = keyframe.sure | (_seen_last(tracker)[:, None] & kept)
    return found


def pair(gain: NDArray[Any], allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The allowed pairs, one to one, of the greatest summed gain (m, n), which is positive where allowed."""
    # Worth 0 outside the gate: such a pair never displaces one that counts.
    rows, columns = linear_assignment(np.where(allowed, -gain, 0))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def kernel_association(tracker: Tracker, keyframe: Keyframe) -> list[tuple[int, int]]:
    """Pairs of the greatest summed similarity, of kernels and of masks' overlap, above the gates (ours)."""
    gain, near = similarity(tracker, keyframe)
    return pair(gain, near & eligible(tracker, keyframe))


def similarity(tracker: Tracker, keyframe: Keyframe) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """How similar tracks and candidates are, in kernels and in place, (tracks, n), and which pairs pass the
    gates of both, bool (tracks, n), whatever their scores."""
    detections = keyframe.detections
    cosine = cosine_similarity(tracker.kernels(), detections.kernels)
    gain = cosine - tracker.min_cosine
    least = np.where(_seen_last(tracker), tracker.min_cosine, max(tracker.min_cosine, tracker.return_cosine))
    near: NDArray[np.bool_] = cosine >= least[:, None]
    if tracker.iou_weight and keyframe.predicted is not None:
        reached = mask_iou(keyframe.predicted, detections.masks)
        stayed, comparable = _stayed(tracker.tracks, detections.masks)
        gain = gain + tracker.iou_weight * (reached + stayed)
        near &= ~comparable[:, None] | (np.maximum(reached, stayed) >= tracker.min_overlap)
    return gain, near


def _seen_last(tracker: Tracker) -> NDArray[np.bool_]:
    """Which tracks the keyframe before saw; in this one all count as missed so far."""
    return np.array([track.missed == 1 for track in tracker.tracks], np.bool_)


def _stayed(tracks: list[Track], masks: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """IoU of each track's mask in the frame before with the candidates' masks (0 where there is none of
    the same size), and for which tracks there is one."""
    overlap = np.zeros((len(tracks), len(masks)), np.float32)
    comparable = np.zeros(len(tracks), np.bool_)
    for row, track in enumerate(tracks):
        if track.missed == 1 and track.mask.shape == masks.shape[1:]:
            comparable[row] = True
            overlap[row] = mask_iou(track.mask[None], masks)[0]
    return overlap, comparable


def _normalised(kernels: NDArray[Any]) -> NDArray[Any]:
    norms = np.sqrt((kernels * kernels).sum(1, keepdims=True))
    return kernels / np.where(norms > 0, norms, 1)
