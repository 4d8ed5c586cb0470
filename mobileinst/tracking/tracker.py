"""Tracks, and what makes them begin, go on and end. Which candidate goes on which track: `association`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_count, check_number
from ..masks.overlap import own_share
from .association import Association, Detections, Keyframe, kernel_association

#: Keyframes over which a track's class scores are averaged, at most.
CLASS_MEMORY = 10


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
        association: rule that pairs tracks with a keyframe's candidates: called with the tracker and a
            :class:`Keyframe`, it returns indices of tracks and candidates, one to one. None means
            :func:`kernel_association`, to which the first three parameters belong.

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
        association: Association | None = None,
    ) -> None:
        share = "above 0 and at most 1"
        self.min_cosine = check_number("min_cosine", min_cosine, -1, 1, "in -1..1")
        self.iou_weight = check_number("iou_weight", iou_weight, 0, math.inf, "finite and at least 0")
        self.min_overlap = check_number("min_overlap", min_overlap, 0, 1, "in 0..1")
        self.keep_ratio = check_number("keep_ratio", keep_ratio, 0, 1, share, above=True)
        self.min_own = check_number("min_own", min_own, 0, 1, "in 0..1")
        self.return_cosine = check_number("return_cosine", return_cosine, -1, 1, "in -1..1")
        self.forget_after = check_count("forget_after", forget_after, 0)
        self.association = kernel_association if association is None else association
        self.reset()

    @property
    def options(self) -> dict[str, Any]:
        """The numbers that it was made with, by name."""
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

    @property
    def frames_since_keyframe(self) -> int:
        """How many frames ago the last keyframe was; 0 if this frame is one."""
        return self._frames_since_keyframe or 0

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
        return self.take(Keyframe.of(detections, thresholds, predicted))

    def take(self, keyframe: Keyframe) -> list[Track]:
        """What `update` does with a keyframe, for subclasses to override."""
        detections = keyframe.detections
        scores: NDArray[np.float32] = np.max(detections.class_scores, 1, initial=0)
        free, ranks = keyframe.sure.copy(), scores.copy()
        for track in self.tracks:
            track.missed += 1
        for row, chosen in self._pairs(keyframe):
            self._continue(self.tracks[row], detections, chosen)
            free[chosen] = False
            ranks[chosen] /= self.keep_ratio
        free &= own_share(ranks, detections.masks) >= self.min_own
        self.tracks = [track for track in self.tracks if track.missed <= self.forget_after]
        for column in np.flatnonzero(free):
            self._begin(detections, int(column), float(scores[column]))
        return self.visible

    def _pairs(self, keyframe: Keyframe) -> list[tuple[int, int]]:
        """Pairs (track, candidate) by the rule of association, checked to be one to one."""
        if not self.tracks or not len(keyframe.detections):
            return []
        pairs = [(int(row), int(column)) for row, column in self.association(self, keyframe)]
        rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
        once = len(rows) == len(columns) == len(pairs)
        if not (once and rows <= {*range(len(self.tracks))} and columns <= {*range(len(keyframe.sure))}):
            raise ValueError(
                f"an association of {len(self.tracks)} tracks with {len(keyframe.sure)} candidates must be "
                f"one to one, got {pairs}"
            )
        return pairs

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
