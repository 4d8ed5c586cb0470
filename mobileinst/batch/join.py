"""Pieces whose candidates were found apart become one: a tracker runs over all of them in their order (ours).

It is the tracker of the whole video and is given the same candidates, so it gives the same tracks. Of what it
asks the network a piece can't know one thing: the masks of the kernels of tracks that come from before it.
They are computed now, on the keyframes where they matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..results import Instances
from ..tracking import Tracker, cosine_similarity
from .candidates import Candidates, PieceResults
from .pieces import Piece

#: Least cosine of two kernels that are one candidate's, perhaps rounded by two machines: those of one object
#: on two keyframes come as near as 0.999.
SAME_COSINE = 0.99999


@dataclass
class Joiner:
    """Gives the candidates of pieces, fed in order, their tracks.

    Args:
        classes: class names, which labels are indices into.
        tracker: one that has seen nothing.
        probe: as `mobileinst.batch.candidates.Prober`.
    """

    classes: Sequence[str]
    tracker: Tracker
    probe: Callable[[Piece, int, NDArray[np.float32]], NDArray[np.bool_] | None]

    def add(self, piece: Piece, results: PieceResults) -> Iterator[Instances]:
        """The instances of the frames that the piece shows."""
        keyframes = {keyframe.frame: keyframe for keyframe in results.keyframes}
        for number, found in enumerate(results.instances):
            if number < piece.shown - piece.first:
                continue
            if number in keyframes:
                self._update(piece, keyframes[number], results)
            yield self._tracked(found)

    def _update(self, piece: Piece, keyframe: Candidates, results: PieceResults) -> None:
        predicted = self._predicted(piece, keyframe, results)
        visible = self.tracker.update(keyframe.detections, keyframe.thresholds, predicted)
        last = dict(zip(keyframe.shown.tolist(), keyframe.last, strict=True))
        for track in visible:
            track.mask = last.get(track.detection, track.mask)

    def _predicted(
        self, piece: Piece, keyframe: Candidates, results: PieceResults
    ) -> NDArray[np.bool_] | None:
        """What the kernel of each track masks in the keyframe, bool (tracks, h, w); empty where it doesn't
        matter."""
        detections, kernels = keyframe.detections, self.tracker.kernels()
        if not self.tracker.iou_weight or not len(kernels) or not len(detections):
            return None
        predicted = np.zeros((len(kernels), *detections.masks.shape[1:]), np.bool_)
        known = np.zeros(len(kernels), np.bool_)
        if len(keyframe.tried):
            cosine = cosine_similarity(kernels, results.kernels(keyframe.tried))
            known[cosine.max(1) >= SAME_COSINE] = True
            predicted[known] = keyframe.predicted[cosine.argmax(1)[known]]
        wanted = ~known & self._may_go_on(keyframe)
        if wanted.any():
            probed = self.probe(piece, keyframe.frame, kernels[wanted])
            if probed is not None:
                predicted[wanted] = probed
        return predicted

    def _may_go_on(self, keyframe: Candidates) -> NDArray[np.bool_]:
        """Which tracks may be shown in the keyframe, if their masks in it allow, bool (tracks,)."""
        tracker = self.tracker
        kernels = keyframe.detections.kernels[keyframe.sure()]
        least = max(tracker.min_cosine, tracker.return_cosine)
        similar = cosine_similarity(tracker.kernels(), kernels) >= least
        seen_last = np.array([track.missed == 0 for track in tracker.tracks], np.bool_)
        return np.asarray(seen_last | similar.any(1))

    def _tracked(self, found: Instances) -> Instances:
        rows = {candidate: row for row, candidate in enumerate(found.ids.tolist())}
        tracks = [track for track in self.tracker.visible if track.detection in rows]
        chosen = found[[rows[track.detection] for track in tracks]]
        chosen.ids = np.array([track.id for track in tracks], np.int64)
        chosen.scores = np.array([track.score for track in tracks], np.float32)
        chosen.labels = np.array([track.label for track in tracks], np.int64)
        chosen.names = [self.classes[track.label] for track in tracks]
        return chosen


def join(pieces: Sequence[tuple[Piece, Path]], joiner: Joiner) -> Iterator[Instances]:
    """The instances of a whole source, frame by frame; one piece's results are held at a time."""
    for piece, path in pieces:
        yield from joiner.add(piece, PieceResults.load(path))
