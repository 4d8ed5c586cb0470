"""Kernel association (paper: keyframes' kernels matched by cosine similarity) and the tracks made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..inputs import check_count, check_number
from ..masks.overlap import mask_iou, own_share
from .assignment import linear_assignment

#: Keyframes over which a track's class scores are averaged, at most.
CLASS_MEMORY = 10


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


@dataclass
class Track:
    """One identity: the kernel of the last keyframe that saw it, its class scores averaged so far, and its
    last mask, bool (h, w) at the resolution of the mask features."""

    id: int
    kernel: NDArray[np.float32]
    mask: NDArray[np.bool_] = field(repr=False)
    class_scores: NDArray[np.float32]
    score: float
    seen: int = 1
    missed: int = 0
    detection: int = field(default=-1, repr=False)

    @property
    def label(self) -> int:
        """Class by the scores averaged over keyframes, so that a single bad keyframe doesn't flip it."""
        return int(np.argmax(self.class_scores))


class Tracker:
    """Identities across the keyframes of one stream. All state of tracking is here; frames are not kept.

    A track is born, and gets an id that is never used again, when a candidate that continues no track passes
    the score threshold. It is shown while keyframes see it, remembered while they don't, and dropped after
    more than `forget_after` keyframes in a row without it. One Tracker serves one stream; to go on with a
    stream later, pass the same Tracker to :meth:`Segmenter.track` again.

    Args:
        min_cosine: least cosine similarity of kernels that continues a track. Up: more new ids when an
            object changes its look; down: ids may move to another object when theirs leaves.
        iou_weight: weight of the second cue (ours; the paper uses kernels alone: 0), the overlap of a
            candidate's mask with the mask that the track's old kernel gives in the new frame, and with the
            one that it gave in the frame before. Up: place counts more, which separates objects that look
            alike; down: looks count more, which finds an object again after a jump or a cut.
        min_overlap: least IoU with one of these two masks that continues a track which the last keyframe
            saw; not used where `iou_weight` is 0. Up: no id jumps across the picture; down: ids follow quick
            objects. A track that is lost this way comes back as one that was missed.
        keep_ratio: a track that was seen in the last keyframe goes on where the score of its own class is at
            least this share of the score threshold. Up (to 1): shorter tracks that flicker; down: objects
            are held longer, some of them wrongly. The whole threshold, in any class, is needed by a track
            that was missed to come back, and by one whose object looks like another class now.
        min_own: least share of a new track's mask that no better candidate covers; one that continues a
            track counts as better up to 1 / `keep_ratio` times its score. Up: fewer ids for parts of objects
            that are tracked already; down: objects in front of larger ones are found sooner.
        return_cosine: least cosine similarity by which a track that was missed comes back. Up: more new ids
            for objects that return; down: new objects may get the id of one that left.
        forget_after: keyframes without the object after which its track is dropped. Up: objects get their id
            back after a longer absence, and more work is done on tracks that are gone; down: they come back
            with a new id.

    Raises:
        ValueError: for a parameter out of range.
    """

    def __init__(
        self,
        *,
        min_cosine: float = 0.2,
        iou_weight: float = 1.0,
        min_overlap: float = 0.1,
        keep_ratio: float = 0.5,
        min_own: float = 0.5,
        return_cosine: float = 0.6,
        forget_after: int = 30,
    ) -> None:
        share = "above 0 and at most 1"
        self.min_cosine = check_number("min_cosine", min_cosine, -1, 1, "in -1..1")
        self.iou_weight = check_number("iou_weight", iou_weight, 0, math.inf, "finite and at least 0")
        self.min_overlap = check_number("min_overlap", min_overlap, 0, 1, "in 0..1")
        self.keep_ratio = check_number("keep_ratio", keep_ratio, 0, 1, share, above=True)
        self.min_own = check_number("min_own", min_own, 0, 1, "in 0..1")
        self.return_cosine = check_number("return_cosine", return_cosine, -1, 1, "in -1..1")
        self.forget_after = check_count("forget_after", forget_after, 0)
        self.reset()

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that it was made with, by name."""
        names = ("min_cosine", "iou_weight", "min_overlap", "keep_ratio", "min_own", "return_cosine")
        return {name: getattr(self, name) for name in (*names, "forget_after")}

    def reset(self) -> None:
        """Forget everything: the next frame starts a new stream with ids from 1."""
        self.tracks: list[Track] = []
        self._next_id = 1
        self._frames_since_keyframe: int | None = None
        self._size: tuple[int, int] | None = None

    @property
    def visible(self) -> list[Track]:
        """The tracks that the last keyframe saw, by id."""
        return [track for track in self.tracks if track.missed == 0]

    def check_model(self, kernel_size: int, classes: int) -> None:
        """Raise ValueError if the tracks have kernels of another length, or another number of classes."""
        for track in self.tracks[:1]:
            if (track.kernel.size, track.class_scores.size) != (kernel_size, classes):
                raise ValueError(
                    f"the tracker holds kernels of length {track.kernel.size} and {track.class_scores.size} "
                    f"classes, got {kernel_size} and {classes}: a Tracker can't be shared by different models"
                )

    def next_frame(self, size: tuple[int, int], keyframe_every: int) -> bool:
        """Count a frame of (height, width) pixels and say whether it is to be a keyframe.

        The first frame is one, then every `keyframe_every`-th, and any frame whose size differs from the
        one before: kernels stay comparable there, the reused masks' quality does not.
        """
        since = self._frames_since_keyframe
        due = since is None or since + 1 >= keyframe_every or size != self._size
        self._frames_since_keyframe = 0 if due or since is None else since + 1
        self._size = size
        return due

    def kernels(self, tracks: list[Track] | None = None) -> NDArray[np.float32]:
        """Kernels of the given tracks (of all, remembered ones included), float32 (n, D)."""
        chosen = self.tracks if tracks is None else tracks
        if not chosen:
            return np.zeros((0, 0), np.float32)
        return np.stack([track.kernel for track in chosen])

    def follow(self, masks: NDArray[np.bool_]) -> None:
        """Take the masks of the visible tracks, bool (n, h, w) by id, in a frame between keyframes."""
        for track, mask in zip(self.visible, masks, strict=True):
            track.mask = mask

    def update(
        self,
        detections: Detections,
        thresholds: NDArray[np.float32],
        predicted: NDArray[np.bool_] | None = None,
    ) -> list[Track]:
        """Associate a keyframe's candidates with the tracks; give birth to and drop tracks.

        Args:
            detections: candidates of at least `keep_ratio` times their threshold; lower ones are not used.
            thresholds: score threshold of each class, float32 (classes,).
            predicted: what each track's old kernel masks in this frame, bool (tracks, h, w); only needed,
                and only used, if `iou_weight` is not 0.

        Returns:
            the visible tracks by id; `track.detection` is the index of a track's candidate.

        Raises:
            ValueError: if kernels have another length than the tracks' (a Tracker serves one model).
        """
        if len(detections):
            self.check_model(detections.kernels.shape[1], detections.class_scores.shape[1])
        labels = np.argmax(detections.class_scores, 1)
        scores: NDArray[np.float32] = np.max(detections.class_scores, 1, initial=0)
        sure = scores >= thresholds[labels]
        free = sure.copy()
        ranks = scores.copy()
        for track in self.tracks:
            track.missed += 1
        for row, chosen in self._pairs(detections, sure, thresholds, predicted):
            self._continue(self.tracks[row], detections, chosen)
            free[chosen] = False
            ranks[chosen] /= self.keep_ratio
        free &= own_share(ranks, detections.masks) >= self.min_own
        self.tracks = [track for track in self.tracks if track.missed <= self.forget_after]
        for column in np.flatnonzero(free):
            self._begin(detections, int(column), float(scores[column]))
        return self.visible

    def _pairs(
        self,
        detections: Detections,
        sure: NDArray[np.bool_],
        thresholds: NDArray[np.float32],
        predicted: NDArray[np.bool_] | None,
    ) -> list[tuple[int, int]]:
        """One-to-one pairs (track, candidate) of the greatest summed similarity above the gate."""
        if not self.tracks or not len(detections):
            return []
        cosine = cosine_similarity(self.kernels(), detections.kernels)
        gain = cosine - self.min_cosine
        was_visible = np.array([track.missed == 1 for track in self.tracks])
        labels = [track.label for track in self.tracks]
        kept = self.keep_ratio * thresholds[labels][:, None] <= detections.class_scores[:, labels].T
        least = np.where(was_visible, self.min_cosine, max(self.min_cosine, self.return_cosine))
        allowed = (cosine >= least[:, None]) & (sure | (was_visible[:, None] & kept))
        if self.iou_weight and predicted is not None:
            reached = mask_iou(predicted, detections.masks)
            stayed, comparable = self._stayed(detections.masks)
            gain = gain + self.iou_weight * (reached + stayed)
            allowed &= ~comparable[:, None] | (np.maximum(reached, stayed) >= self.min_overlap)
        # Worth 0 outside the gate: such a pair never displaces one that counts.
        rows, columns = linear_assignment(np.where(allowed, -gain, 0))
        return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]

    def _stayed(self, masks: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """IoU of each track's mask in the frame before with the candidates' masks (0 where there is none of
        the same size), and for which tracks there is one."""
        overlap = np.zeros((len(self.tracks), len(masks)), np.float32)
        comparable = np.zeros(len(self.tracks), np.bool_)
        for row, track in enumerate(self.tracks):
            if track.missed == 1 and track.mask.shape == masks.shape[1:]:
                comparable[row] = True
                overlap[row] = mask_iou(track.mask[None], masks)[0]
        return overlap, comparable

    def _continue(self, track: Track, detections: Detections, column: int) -> None:
        track.kernel = detections.kernels[column].copy()
        track.mask = detections.masks[column].copy()
        track.seen += 1
        track.missed = 0
        step = 1 / min(track.seen, CLASS_MEMORY)
        track.class_scores += step * (detections.class_scores[column] - track.class_scores)
        track.score = float(detections.class_scores[column, track.label])
        track.detection = column

    def _begin(self, detections: Detections, column: int, score: float) -> None:
        kernel, class_scores = detections.kernels[column].copy(), detections.class_scores[column].copy()
        mask = detections.masks[column].copy()
        self.tracks.append(Track(self._next_id, kernel, mask, class_scores, score, detection=column))
        self._next_id += 1


def _normalised(kernels: NDArray[Any]) -> NDArray[Any]:
    norms = np.sqrt((kernels * kernels).sum(1, keepdims=True))
    return kernels / np.where(norms > 0, norms, 1)
