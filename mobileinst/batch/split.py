"""What workers do for a source in pieces: cut it, find candidates in each, and join them into its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..parallel.pool import Event, Failed, Finished, Pool, Progressed, Report
from ..results import Instances
from ..segmenter import Segmenter
from ..video import Frame, FrameSource, VideoError
from .candidates import Prober, find_candidates
from .join import Joiner, join
from .pieces import Piece, cut
from .work import Done, Job, Tracked, TrackJob, attempt_folder, track_into

#: Files in the attempts' folders: seconds of all frames, and what a piece gave.
TIMES, RESULTS = "times.npy", "piece.npz"
#: Outputs that need the frames' pixels.
DRAWN = ("video", "picture")


@dataclass
class SplitPlan(Done):
    """The pieces of a source; its frames' times lie in `TIMES` in `folder`."""

    pieces: tuple[Piece, ...]
    folder: str


@dataclass(frozen=True)
class SplitJob(Job):
    """Cut a source into pieces; one that is too short for that, or can't be cut, is tracked at once."""

    def run(self, segmenter: Segmenter, report: Report) -> SplitPlan | Tracked:
        plan = cut(self.source(), self.options)
        if plan is None:
            return TrackJob(self.path, self.attempts, self.name, self.options).run(segmenter, report)
        with attempt_folder(self.attempts, f"{self.name}.plan") as folder:
            np.save(folder / TIMES, np.array(plan.times))
            return SplitPlan(plan.pieces, str(folder))


@dataclass
class TrackedPiece(Done):
    """A piece whose candidates lie in `RESULTS` in an attempt's folder."""

    piece: Piece
    folder: str


@dataclass(frozen=True)
class PieceJob(Job):
    """Find the candidates of one piece of a source."""

    piece: Piece

    def run(self, segmenter: Segmenter, report: Report) -> TrackedPiece:
        with attempt_folder(self.attempts, self.name) as folder:
            find_candidates(self.source(), self.piece, segmenter, self.options, report).save(folder / RESULTS)
            return TrackedPiece(self.piece, str(folder))


@dataclass(frozen=True)
class JoinJob(Job):
    """Write a source's outputs from its pieces. Its frames are decoded again only to be drawn on."""

    plan: SplitPlan
    tracked: tuple[TrackedPiece, ...]

    def run(self, segmenter: Segmenter, report: Report) -> Tracked:
        source = self.source()
        prober = Prober(source, segmenter, self.options)
        if not set(DRAWN) & set(self.options.outputs):
            source = Times(source, np.load(Path(self.plan.folder) / TIMES).tolist())
        joiner = Joiner(segmenter.classes, self.options.tracker(), prober)
        files = [(tracked.piece, Path(tracked.folder) / RESULTS) for tracked in self.tracked]
        replay = Replay(source.name, join(files, joiner))
        with attempt_folder(self.attempts, self.name) as folder:
            joined = track_into(folder, source, cast(Segmenter, replay), self.options, report)
        joined.seconds += sum(tracked.seconds for tracked in self.tracked)
        joined.processor += sum(tracked.processor for tracked in self.tracked)
        return joined


class Times(FrameSource):
    """A source's frames by their times alone; the images are empty."""

    def __init__(self, source: FrameSource, times: Sequence[float]) -> None:
        self.name, self.rate, self.count = source.name, source.rate, len(times)
        self._times = times

    def __iter__(self) -> Iterator[Frame]:
        nothing = np.zeros((0, 0, 3), np.uint8)
        return (Frame(nothing, time, f"frame {number}") for number, time in enumerate(self._times))


class Replay:
    """Takes a Segmenter's place where a stream is tracked, and gives results that were found before."""

    def __init__(self, name: str, instances: Iterator[Instances]) -> None:
        self._name = name
        self._instances = instances

    def stream(self, **options: Any) -> Replay:
        """There is one only."""
        return self

    def step(self, image: NDArray[np.uint8]) -> Instances:
        """The next results."""
        found = next(self._instances, None)
        if found is None:
            raise VideoError(f"{self._name}: has more frames than its pieces")
        return found


class Split:
    """The driver's side of a source in pieces: hands out its pieces, then their join.

    Where the pieces don't fit together (a video whose time stamps mislead), the source is tracked whole.
    """

    def __init__(self, job: SplitJob, plan: SplitPlan, pool: Pool) -> None:
        self._job = job
        self._plan = plan
        self._pool = pool
        self._tracked: dict[int, TrackedPiece] = {}
        self._frames: dict[int, int] = {}
        self._over = False
        for piece in plan.pieces:
            pool.submit(PieceJob(job.path, job.attempts, f"{job.name}.{piece.number}", job.options, piece))

    def progress(self) -> tuple[int, int]:
        """Frames tracked so far, and in all, those of the overlaps twice."""
        return sum(self._frames.values()), sum(piece.end - piece.first for piece in self._plan.pieces)

    def takes(self, event: Event) -> bool:
        """Go on after an event; False for one that ends the source."""
        payload = event.task.payload
        if isinstance(payload, PieceJob):
            return self._takes_piece(payload.piece, event)
        if isinstance(payload, JoinJob):
            if isinstance(event, Failed) and isinstance(event.error, VideoError):
                self._track_whole()
                return True
            return isinstance(event, Progressed)
        return False

    def _takes_piece(self, piece: Piece, event: Event) -> bool:
        if self._over:
            return True
        if isinstance(event, Progressed):
            self._frames[piece.number] = event.frames
        elif isinstance(event, Finished):
            self._frames[piece.number] = piece.end - piece.first
            self._tracked[piece.number] = event.value
            if len(self._tracked) == len(self._plan.pieces):
                self._join()
        elif isinstance(event.error, VideoError):
            self._track_whole()
        else:
            self._over = True
            return False
        return True

    def _join(self) -> None:
        job = self._job
        tracked = tuple(self._tracked[piece.number] for piece in self._plan.pieces)
        self._pool.submit(JoinJob(job.path, job.attempts, job.name, job.options, self._plan, tracked))

    def _track_whole(self) -> None:
        self._over = True
        job = self._job
        self._pool.submit(TrackJob(job.path, job.attempts, job.name, job.options))
