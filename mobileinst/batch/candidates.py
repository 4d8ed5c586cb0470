"""What a worker makes of a piece (ours): its keyframes' candidates, and masks of those that may be shown.

Which candidates continue which tracks depends on all frames before, but the candidates don't. So the
network's work is done here, piece by piece, and the tracker runs later over the candidates of all pieces in
their order (`mobileinst.batch.join`). What it asks of the network is made beforehand: the masks of candidates
on the frames up to the next keyframe, and on that keyframe those of the kernels that may go on there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..parallel.pool import Report
from ..results import Instances
from ..segmenter import Segmenter
from ..tracking import Detections, Keyframe, Track, Tracker, similarity
from ..video import FrameSource, VideoError
from .options import Options
from .pieces import Piece, read_piece


@dataclass(frozen=True)
class Candidates:
    """Those of one keyframe.

    frame: its number in the piece. thresholds: of new tracks, float32 (classes,). tried: int64 (m, 2), number
    of a keyframe of the piece and of its candidate, whose kernel's mask in this frame is `predicted`, bool
    (m, h, w). shown: int64 (s,), the candidates that a track may go on with, and in `last` bool (s, h, w)
    their masks on the last frame before the next keyframe.
    """

    frame: int
    detections: Detections
    thresholds: NDArray[np.float32]
    tried: NDArray[np.int64]
    predicted: NDArray[np.bool_]
    shown: NDArray[np.int64]
    last: NDArray[np.bool_]

    def sure(self) -> NDArray[np.bool_]:
        """Which candidates reach the threshold of their best class, bool (n,)."""
        return Keyframe.of(self.detections, self.thresholds).sure


class CandidateRecorder(Tracker):
    """Takes a Tracker's place in a stream, shows all candidates that a track may go on with, and keeps them.

    A candidate has its number as its id until the next keyframe. Those that no track can reach are left out:
    they are below the thresholds of new tracks, and far from all that were shown before. A tracking of the
    piece by itself says which lost tracks may return.

    Args:
        late: whether frames before the first one may have tracks.
    """

    def __init__(self, tracker: Tracker, late: bool) -> None:
        self._late = late
        super().__init__(**tracker.options)

    def reset(self) -> None:
        """Forget everything, what was kept too."""
        super().reset()
        self.frame = -1
        self.keyframes: list[Candidates] = []
        self._own = Tracker(**self.options)
        # Keyframe and candidate of each of `tracks`, and of the own tracks by id.
        self._places: list[tuple[int, int]] = []
        self._origins: dict[int, tuple[int, int]] = {}

    def next_frame(self, size: tuple[int, int], keyframe_every: int) -> bool:
        self.frame += 1
        return super().next_frame(size, keyframe_every)

    def follow(self, masks: NDArray[np.bool_]) -> None:
        super().follow(masks)
        last = {track.detection: track.mask for track in self.visible}
        for track in self._own.visible:
            track.mask = last[track.detection]
        self.keyframes[-1].last[:] = masks

    def take(self, keyframe: Keyframe) -> list[Track]:
        """The candidates that a track may go on with, as tracks."""
        number = len(self.keyframes)
        detections, predicted = keyframe.detections, keyframe.predicted
        shown = np.flatnonzero(self._reachable(keyframe))
        tried = self._places if predicted is not None else []
        rows = [self._places.index(self._origins[track.id]) for track in self._own.tracks]
        self._own.take(replace(keyframe, predicted=None if predicted is None else predicted[rows]))
        self._origins |= {track.id: (number, track.detection) for track in self._own.visible}
        lost = [track for track in self._own.tracks if track.missed]
        self.tracks = [_track(detections, int(i)) for i in shown] + lost
        self._places = [(number, int(i)) for i in shown] + [self._origins[track.id] for track in lost]
        empty = np.zeros((0, *detections.masks.shape[1:]), np.bool_)
        self.keyframes.append(
            Candidates(
                self.frame,
                detections,
                np.asarray(keyframe.thresholds, np.float32),
                np.array(tried, np.int64).reshape(-1, 2),
                empty if predicted is None else predicted,
                shown,
                detections.masks[shown],
            )
        )
        return self.visible

    def _reachable(self, keyframe: Keyframe) -> NDArray[np.bool_]:
        """Which candidates may begin a track or continue one of those shown before, bool (n,)."""
        if self._late and not self.keyframes:
            return np.ones(len(keyframe.detections), np.bool_)
        # Lost tracks return with sure candidates only.
        self.tracks = self.visible
        if not self.tracks or not len(keyframe.detections):
            return keyframe.sure
        for track in self.tracks:
            track.missed = 1
        masks = None if keyframe.predicted is None else keyframe.predicted[: len(self.tracks)]
        _, near = similarity(self, replace(keyframe, predicted=masks))
        return np.asarray(keyframe.sure | near.any(0))


def _track(detections: Detections, i: int) -> Track:
    class_scores = detections.class_scores[i]
    score = float(class_scores.max())
    return Track(i, detections.kernels[i], detections.masks[i], class_scores, score, detection=i)


def find_candidates(
    source: FrameSource, piece: Piece, segmenter: Segmenter, options: Options, report: Report
) -> PieceResults:
    """The candidates of a piece."""
    recorder = CandidateRecorder(options.tracker(), late=piece.first > 0)
    found = []
    stream = segmenter.track(
        read_piece(source, piece),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        tracker=recorder,
    )
    for number, instances in enumerate(stream):
        found.append(instances)
        report(number + 1, piece.end - piece.first)
    return PieceResults(found, recorder.keyframes)


class Prober:
    """Masks of kernels on single frames, computed when pieces are joined: what they can't know beforehand."""

    def __init__(self, source: FrameSource, segmenter: Segmenter, options: Options) -> None:
        self._source = source
        self._segmenter = segmenter
        self._options = options
        self._piece: Piece | None = None
        self._frames: Iterator[NDArray[np.uint8]] = iter(())
        self._read = 0

    def __call__(self, piece: Piece, frame: int, kernels: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Masks of kernels (n, D) in the frame of this number in the piece, bool (n, h, w).

        None if the frame has no candidates here. Frames are read forwards: ask in their order.

        Raises:
            VideoError: if the frame can't be read.
        """
        if piece != self._piece or frame < self._read:
            self._piece, self._read = piece, 0
            self._frames = read_piece(self._source, piece)
        image = next(itertools.islice(self._frames, frame - self._read, None), None)
        self._read = frame + 1
        if image is None:
            raise VideoError(f"{self._source.name}: frame {piece.first + frame} is missing when read again")
        probe = _Probe(kernels, len(self._segmenter.classes))
        self._segmenter.stream(score_threshold=self._options.score_threshold, tracker=probe).step(image)
        return probe.predicted


class _Probe(Tracker):
    """Takes a Tracker's place in a stream of one frame, and keeps the masks that its kernels give there."""

    def __init__(self, kernels: NDArray[np.float32], classes: int) -> None:
        super().__init__()
        nothing, scores = np.zeros((0, 0), np.bool_), np.zeros(classes, np.float32)
        self.tracks = [Track(i, kernel, nothing, scores, 0.0, missed=1) for i, kernel in enumerate(kernels)]
        self.predicted: NDArray[np.bool_] | None = None

    def take(self, keyframe: Keyframe) -> list[Track]:
        """Keep `predicted`; nothing is shown."""
        self.predicted = keyframe.predicted
        return []


@dataclass(frozen=True)
class PieceResults:
    """What a piece gave: instances of each of its frames, whose ids are numbers of candidates of the last
    keyframe, and the candidates of its keyframes."""

    instances: Sequence[Instances]
    keyframes: Sequence[Candidates] = field(repr=False)

    def kernels(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Those of keyframes and candidates (n, 2), float32 (n, D)."""
        return np.stack([self.keyframes[k].detections.kernels[i] for k, i in places.tolist()])

    def save(self, path: Path) -> None:
        """Write it as an .npz file."""
        instances, keyframes = self.instances, self.keyframes
        columns: dict[str, Sequence[NDArray[Any]]] = {
            "sizes": [np.array(found.size, np.int64) for found in instances],
            "ids": [found.ids for found in instances],
            "run_counts": [np.array([len(r) for r in found.run_lengths], np.int64) for found in instances],
            "runs": [np.concatenate([*found.run_lengths, np.zeros(0, np.uint32)]) for found in instances],
            "frames": [np.array(keyframe.frame, np.int64) for keyframe in keyframes],
            "kernels": [keyframe.detections.kernels for keyframe in keyframes],
            "class_scores": [keyframe.detections.class_scores for keyframe in keyframes],
            "masks": [keyframe.detections.masks for keyframe in keyframes],
        }
        for name in ("thresholds", "tried", "predicted", "shown", "last"):
            columns[name] = [getattr(keyframe, name) for keyframe in keyframes]
        packed: dict[str, Any] = {}
        for name, arrays in columns.items():
            packed |= _pack(name, arrays)
        np.savez_compressed(path, **packed)

    @classmethod
    def load(cls, path: Path) -> PieceResults:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        names = {name.partition(".")[0] for name in data}
        of = {name: _unpack(data[name], data[f"{name}.shapes"]) for name in names}
        found = []
        for size, ids, counts, runs in zip(of["sizes"], of["ids"], of["run_counts"], of["runs"], strict=True):
            lengths = np.split(runs, np.cumsum(counts)[:-1]) if len(ids) else []
            zeros = np.zeros(len(ids))
            height, width = size.tolist()
            found.append(Instances((height, width), lengths, zeros, zeros, [""] * len(ids), ids))
        keyframes = [
            Candidates(int(frame), Detections(kernels, class_scores, masks), *rest)
            for frame, kernels, class_scores, masks, *rest in zip(
                *(of[name] for name in ("frames", "kernels", "class_scores", "masks")),
                *(of[name] for name in ("thresholds", "tried", "predicted", "shown", "last")),
                strict=True,
            )
        ]
        return cls(found, keyframes)


def _pack(name: str, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays of one dtype and number of axes as two, booleans eight to a byte."""
    flat = np.concatenate([array.ravel() for array in arrays])
    shapes = np.array([array.shape for array in arrays], np.int64)
    return {name: np.packbits(flat) if flat.dtype == bool else flat, f"{name}.shapes": shapes}


def _unpack(flat: NDArray[Any], shapes: NDArray[np.int64]) -> list[NDArray[Any]]:
    ends = np.cumsum(np.prod(shapes, 1)).astype(np.int64)
    if flat.dtype == np.uint8:
        flat = np.unpackbits(flat, count=int(ends[-1])).view(np.bool_)
    starts = [0, *ends[:-1].tolist()]
    parts = zip(itertools.starmap(slice, zip(starts, ends.tolist(), strict=True)), shapes, strict=True)
    return [flat[part].reshape(shape) for part, shape in parts]
