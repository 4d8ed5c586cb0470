"""What a worker does: track one source into an attempt's folder, from which the driver moves the files."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import __version__
from ..drawing import Overlay
from ..parallel.pool import Report
from ..pipeline import track
from ..report import write_report
from ..segmenter import Segmenter
from ..video import FrameSource, open_source
from ..weights import Weights
from .options import REPORT, Options


@dataclass
class Done:
    """What a job gave, and the seconds that it took, by the clock and of all threads of its process."""

    seconds: float = field(default=0.0, kw_only=True)
    processor: float = field(default=0.0, kw_only=True)


@dataclass
class Tracked(Done):
    """What became of one source.

    folder: the attempt's, which holds the outputs, by name in `files`. error: why it ended before the source
    did; what came before is in the files. worker: host and process. memory: the process's greatest resident
    size so far, in bytes.
    """

    folder: str
    files: dict[str, str]
    frames: int
    tracks: int
    error: str | None
    worker: str
    memory: int
    versions: dict[str, str] = field(default_factory=lambda: versions())


@dataclass(frozen=True)
class Job(ABC):
    """A payload: work at one source.

    path: of the source. attempts: folder in which each attempt makes one of its own, whose name begins with
    `name`.
    """

    path: str
    attempts: str
    name: str
    options: Options

    @abstractmethod
    def run(self, segmenter: Segmenter, report: Report) -> Done:
        """Do it with a worker's Segmenter; `report` is called with the frames done and those there are, where
        known."""

    def source(self) -> FrameSource:
        """The source, opened."""
        return open_source(self.path, rate=self.options.fps)


@dataclass(frozen=True)
class WorkerSetup:
    """Makes a worker's Segmenter, whose packed weights and plans then serve all its jobs."""

    weights: Weights
    size: int | tuple[int, int] | None
    threads: int
    precision: str | None = None

    def __call__(self) -> Worker:
        return Worker(Segmenter(self.weights, size=self.size, threads=self.threads, precision=self.precision))


@dataclass(frozen=True)
class Worker:
    """Runs jobs on one Segmenter, and says how long they take."""

    segmenter: Segmenter

    def __call__(self, job: Job, report: Report) -> Done:
        start, start_of_processor = time.perf_counter(), time.process_time()
        done = job.run(self.segmenter, report)
        done.seconds += time.perf_counter() - start
        done.processor += time.process_time() - start_of_processor
        return done


@dataclass(frozen=True)
class TrackJob(Job):
    """Track one source as `mobileinst track` does."""

    def run(self, segmenter: Segmenter, report: Report) -> Tracked:
        with attempt_folder(self.attempts, self.name) as folder:
            return track_into(folder, self.source(), segmenter, self.options, report)


def track_into(
    folder: Path, source: FrameSource, segmenter: Segmenter, options: Options, report: Report
) -> Tracked:
    """Track a source into an attempt's folder."""
    files = options.files(folder / "out")
    summary = track(
        source,
        segmenter,
        {name: path for name, path in files.items() if name != REPORT},
        tracker=options.tracker(),
        keyframe_every=options.keyframe_every,
        score_threshold=options.score_threshold,
        max_frames=options.max_frames,
        overlay=Overlay(boxes=options.boxes, labels=options.labels),
        quiet=True,
        report=lambda frames: report(frames, source.count),
    )
    if isinstance(summary.stopped, KeyboardInterrupt):
        raise summary.stopped
    if REPORT in files:
        write_report(files["json"], source.name, files[REPORT])
    return Tracked(
        folder=str(folder),
        files={name: path.name for name, path in files.items()},
        frames=summary.frames,
        tracks=len(summary.tracks),
        error=None if summary.stopped is None else str(summary.stopped),
        worker=f"{socket.gethostname()}:{os.getpid()}",
        memory=peak_memory(),
    )


@contextmanager
def attempt_folder(attempts: str, name: str) -> Iterator[Path]:
    """A folder of this attempt alone, removed after an exception."""
    folder = Path(attempts) / f"{name}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def versions() -> dict[str, str]:
    """Versions of what results may depend on."""
    found = {"mobileinst": __version__, "python": platform.python_version(), "numpy": np.__version__}
    for package in ("av", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory() -> int:
    """Greatest resident size of this process so far, in bytes; 0 where that isn't told."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
