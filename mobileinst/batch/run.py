"""A batch from its sources to its summary: what is left to do, done by a pool, kept as it comes."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..io.files import Output
from ..parallel import Failed, Finished, Pool, Progressed, open_pool
from ..video import VideoError
from ..weights import Weights
from .journal import FOLDER, Journal, is_done
from .options import Options, model_key, source_key
from .progress import BatchProgress
from .sources import Source, size_in_bytes, stamp
from .split import Split, SplitJob, SplitPlan
from .work import Tracked, TrackJob, WorkerSetup, versions

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Workers:
    """How the work is spread; results don't depend on it.

    jobs: processes; on a cluster the most tasks at a time, 0 for all that fit. threads: of each. ray: None
    for this machine's processes, else ``auto``, ``local`` or an address. retries: tries after a worker's
    death. timeout: seconds without a finished frame after which a worker counts as hung.
    """

    jobs: int
    threads: int = 1
    ray: str | None = None
    retries: int = 2
    timeout: float | None = 300.0


@dataclass
class BatchReport:
    """What a batch did: a record for each source, in order, and how many of them an earlier run had done."""

    records: list[dict[str, Any]] = field(default_factory=list)
    resumed: int = 0

    def count(self, status: str) -> int:
        """Sources with a status: done, failed or pending."""
        return sum(record["status"] == status for record in self.records)


def run_batch(
    sources: Sequence[Source],
    output: Path,
    weights: Weights,
    options: Options,
    workers: Workers,
    *,
    size: int | tuple[int, int] | None = None,
    precision: str = "fp32",
    quiet: bool = True,
) -> BatchReport:
    """Track every source that isn't done yet, each into its place below `output`.

    A source is done if an earlier run finished it with the same model, options, size and time of change. The
    summary is written at the end, also when the run is interrupted or fails.

    Raises:
        VideoError: if an output would replace a source, or another batch is at work in `output`.
        OSError: if `output` can't be written to.
    """
    _check_outputs(sources, output, options)
    with closing(Journal(output)) as journal:
        batch = _Batch(journal, output, options, model_key(weights, size, precision))
        batch.plan(sources)
        try:
            batch.work(WorkerSetup(weights, size, workers.threads, precision), workers, quiet=quiet)
        finally:
            report = batch.report(sources)
            _write_summary(output, report, options, workers)
    return report


class _Batch:
    """The driver's side of a run: plans, hands out, and keeps what comes back."""

    def __init__(self, journal: Journal, output: Path, options: Options, model: str) -> None:
        self._journal = journal
        self._output = output
        self._options = options
        self._model = model
        self._keys: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._todo: list[Source] = []
        self._broken: list[tuple[Source, str]] = []
        self._resumed = 0

    def plan(self, sources: Sequence[Source]) -> None:
        """Sort the sources into done, broken and to be done."""
        for source in sources:
            try:
                stamped = stamp(source.path)
            except OSError as error:
                missing = isinstance(error, FileNotFoundError)
                reason = "does not exist" if missing else f"can't be read: {error.strerror or error}"
                self._broken.append((source, f"{source.path}: {reason}"))
                continue
            key = source_key(self._model, self._options, stamped)
            record = self._journal.records.get(source.place)
            if record is not None and is_done(record, key, self._output):
                self._ended[source.place] = record
                self._resumed += 1
                continue
            self._keys[source.place] = key
            self._sizes[source.place] = size_in_bytes(stamped)
            self._todo.append(source)

    def work(self, setup: WorkerSetup, workers: Workers, *, quiet: bool) -> None:
        """Do what is to be done."""
        progress = BatchProgress(self._sizes, self._resumed, len(self._broken), quiet=quiet)
        try:
            for source, error in self._broken:
                progress.end(self._end(source, _record(source, error=error)))
            if self._todo:
                with open_pool(
                    setup,
                    jobs=workers.jobs,
                    threads=workers.threads,
                    ray=workers.ray,
                    retries=workers.retries,
                    timeout=workers.timeout,
                ) as pool:
                    self._work(pool, progress)
        finally:
            progress.clear()

    def _work(self, pool: Pool, progress: BatchProgress) -> None:
        # Absolute: the processes of a cluster work elsewhere.
        attempts = os.path.abspath(self._journal.attempts)
        sources: dict[str, Source] = {}
        splits: dict[str, Split] = {}
        first = TrackJob if self._options.split is None else SplitJob
        # The longest first, so that none is left alone at the end.
        for number, source in enumerate(sorted(self._todo, key=self._size, reverse=True)):
            sources[str(number)] = source
            pool.submit(first(source.path, attempts, str(number), self._options))
        for event in pool.events():
            job = event.task.payload
            name = job.name.partition(".")[0]
            if isinstance(event, Finished) and isinstance(event.value, SplitPlan):
                splits[name] = Split(job, event.value, pool)
            elif name in splits and splits[name].takes(event):
                frames, total = splits[name].progress()
                progress.step(sources[name].place, frames, total)
            elif isinstance(event, Progressed):
                progress.step(sources[name].place, event.frames, event.total)
            else:
                progress.end(self._keep(sources[name], name, event))

    def _size(self, source: Source) -> int:
        return self._sizes[source.place]

    def report(self, sources: Sequence[Source]) -> BatchReport:
        """What became of all sources, those that weren't reached included."""
        records = [self._ended.get(s.place) or _record(s, status="pending") for s in sources]
        return BatchReport(records, self._resumed)

    def _keep(self, source: Source, name: str, event: Finished | Failed) -> dict[str, Any]:
        """Give an attempt's files their names, and note how it ended."""
        record = _record(source, key=self._keys[source.place])
        if isinstance(event, Failed):
            record |= {"error": " ".join(str(event.error).split()) or type(event.error).__name__}
        else:
            try:
                record |= self._outcome(source, event.value)
            except OSError as error:
                record |= {"error": f"can't write {error.filename2 or error.filename}: {error.strerror}"}
        record["attempts"] = max(self._journal.clear_attempts(name), 1)
        return self._end(source, record)

    def _outcome(self, source: Source, tracked: Tracked) -> dict[str, Any]:
        targets = self._options.files(self._output / source.place)
        for output, name in tracked.files.items():
            _move(Path(tracked.folder) / name, targets[output])
        return {
            "status": "done" if tracked.error is None else "failed",
            "frames": tracked.frames,
            "tracks": tracked.tracks,
            "seconds": round(tracked.seconds, 3),
            "processor_seconds": round(tracked.processor, 3),
            "frames_per_second": round(tracked.frames / tracked.seconds, 2),
            "error": tracked.error,
            "outputs": {o: targets[o].relative_to(self._output).as_posix() for o in tracked.files},
            "worker": tracked.worker,
            "peak_memory": tracked.memory,
            "versions": tracked.versions,
        }

    def _end(self, source: Source, record: dict[str, Any]) -> dict[str, Any]:
        self._ended[source.place] = record
        self._journal.add(record)
        return record


def _record(
    source: Source, *, status: str = "failed", error: str | None = None, key: str | None = None
) -> dict[str, Any]:
    return {
        "source": source.path,
        "place": source.place,
        "status": status,
        "frames": 0,
        "tracks": 0,
        "seconds": 0.0,
        "processor_seconds": 0.0,
        "frames_per_second": 0.0,
        "error": error,
        "outputs": {},
        "versions": versions(),
        "key": key,
    }


def _move(path: Path, target: Path) -> None:
    """Give a finished file or folder its name, in place of an older one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and path.is_dir():
        # A folder can't be replaced at once: the older one steps aside first, into the attempt.
        os.replace(target, path.with_name("older"))
    os.replace(path, target)


def _check_outputs(sources: Sequence[Source], output: Path, options: Options) -> None:
    paths = {os.path.realpath(source.path): source.path for source in sources}
    written: dict[str, str] = {}
    for source in sources:
        for path in options.files(output / source.place).values():
            real = os.path.realpath(path)
            if real in paths:
                raise VideoError(f"{path}, an output, would replace {paths[real]}: choose another folder")
            if real in written:
                raise VideoError(f"{source.path} and {written[real]} would both be written to {path}")
            written[real] = source.path
    for reserved in (SUMMARY, FOLDER):
        if os.path.realpath(output / reserved) in {**paths, **written}:
            raise VideoError(f"{output / reserved} is the batch's own: choose another folder")


def _write_summary(output: Path, report: BatchReport, options: Options, workers: Workers) -> None:
    """JSON, an object whose "sources" stand one a line, so that line tools can read them, too."""
    head = {
        "versions": versions(),
        "machine": platform.node(),
        "options": asdict(options),
        "workers": asdict(workers),
        "counts": {status: report.count(status) for status in ("done", "failed", "pending")},
        "resumed": report.resumed,
    }
    lines = ",\n".join(json.dumps(record) for record in report.records)
    with Output(output / SUMMARY) as file:
        file.open().write(f'{json.dumps(head)[:-1]},\n"sources": [\n{lines}\n]}}\n')
