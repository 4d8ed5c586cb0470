"""Pieces that were tracked apart become one: kernel association at the seams (ours, after the paper's).

Ids of a piece are its own. In the overlap with the piece before, both trackers chose from the same
candidates, so the kernels of two tracks of one object are equal there, and the paper's association (cosine
similarity, one to one) finds the pairs. A track that begins later may continue one that was lost before the
seam, by the rule of `Tracker(return_cosine=)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..results import Instances
from ..tracking import Tracker, cosine_similarity
from ..tracking.assignment import linear_assignment
from .pieces import Piece, PieceResults

Kernels = dict[int, NDArray[np.float32]]

#: Least cosine of two tracks' kernels in one frame of an overlap that makes them one.
SAME_COSINE = 0.6


@dataclass
class _Known:
    """A joined track: its last kernel, and the frame that it was last shown in."""

    kernel: NDArray[np.float32]
    shown: int


@dataclass
class Joiner:
    """Gives the tracks of pieces, fed in order, ids that hold for the whole source.

    Args:
        keyframe_every, forget_after: as the pieces were tracked.
    """

    keyframe_every: int = 3
    forget_after: int = 30
    return_cosine: float = Tracker().return_cosine
    _known: dict[int, _Known] = field(default_factory=dict)
    _next: int = 1
    #: Of the last piece: kernels by keyframe and joined id.
    _before: dict[int, Kernels] = field(default_factory=dict)

    def add(self, piece: Piece, results: PieceResults) -> Iterator[Instances]:
        """The instances of the frames that the piece shows, with joined ids."""
        kernels = _by_keyframe(results)
        names = self._link(piece, kernels)
        latest: Kernels = {}
        for number, instances in enumerate(results.instances, start=piece.first):
            latest.update(kernels.get(number, {}))
            if number < piece.shown:
                continue
            fresh = [track for track in instances.ids.tolist() if track not in names]
            names.update(self._name(fresh, [latest[track] for track in fresh], number, set(names.values())))
            for track in instances.ids.tolist():
                self._known[names[track]] = _Known(latest[track], number)
            yield _renamed(instances, names)
        self._before = {
            frame: {names[track]: kernel for track, kernel in seen.items() if track in names}
            for frame, seen in kernels.items()
        }

    def _link(self, piece: Piece, kernels: dict[int, Kernels]) -> dict[int, int]:
        """Joined ids of the tracks that both pieces saw in their overlap; the latest keyframe says most."""
        names: dict[int, int] = {}
        for frame in sorted((frame for frame in kernels if frame < piece.shown), reverse=True):
            ours = {track: k for track, k in kernels[frame].items() if track not in names}
            theirs = {
                track: k for track, k in self._before.get(frame, {}).items() if track not in names.values()
            }
            names.update(_pairs(ours, theirs, SAME_COSINE))
        return names

    def _name(
        self, tracks: Sequence[int], kernels: Sequence[NDArray[np.float32]], frame: int, taken: set[int]
    ) -> dict[int, int]:
        """Joined ids of tracks that are shown for the first time: those of lost tracks, or new ones."""
        oldest = frame - (self.forget_after + 1) * self.keyframe_every
        lost = {
            name: known.kernel
            for name, known in self._known.items()
            if name not in taken and known.shown >= oldest
        }
        names = _pairs(dict(zip(tracks, kernels, strict=True)), lost, self.return_cosine)
        for track in sorted(set(tracks) - set(names)):
            names[track] = self._next
            self._next += 1
        return names


def join(pieces: Sequence[tuple[Piece, Path]], classes: Sequence[str], joiner: Joiner) -> Iterator[Instances]:
    """The instances of a whole source, frame by frame; one piece's results are held at a time."""
    for piece, path in pieces:
        yield from joiner.add(piece, PieceResults.load(path, classes))


def _by_keyframe(results: PieceResults) -> dict[int, Kernels]:
    kernels: dict[int, Kernels] = {}
    for frame, track, kernel in results.seen:
        kernels.setdefault(results.first + frame, {})[track] = kernel
    return kernels


def _pairs(ours: Kernels, theirs: Kernels, least: float) -> dict[int, int]:
    """One-to-one pairs of the greatest summed cosine similarity, each of at least `least`."""
    if not ours or not theirs:
        return {}
    rows, columns = list(ours), list(theirs)
    cosine = cosine_similarity(np.stack([ours[r] for r in rows]), np.stack([theirs[c] for c in columns]))
    allowed = cosine >= least
    chosen = zip(*linear_assignment(np.where(allowed, -cosine, 0)), strict=True)
    return {rows[r]: columns[c] for r, c in chosen if allowed[r, c]}


def _renamed(instances: Instances, names: dict[int, int]) -> Instances:
    ids = np.array([names[track] for track in instances.ids.tolist()], np.int64)
    renamed = instances[np.argsort(ids, kind="stable")]
    renamed.ids = np.sort(ids)
    return renamed
