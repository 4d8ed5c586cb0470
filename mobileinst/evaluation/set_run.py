"""A run over the items of a set: resumable, in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..io.files import Output, check_outputs, check_writable, fitting_name, is_plain
from ..io.progress import Progress
from ..io.records import RecordFile, read_records
from ..parallel import Failed, Progressed, WorkerCrash, open_pool
from ..parallel.pool import Report
from .entries import DataError, said
from .files import CategoryMap

if TYPE_CHECKING:
    from ..segmenter import Segmenter

#: Tries of an item again after the process that worked at it died.
RETRIES = 1
#: What the work with an item needs of it.
_NEEDED = ("id", "name", "file_name", "file_names", "height", "width")

#: What is done with an item, called with the segmenter, the item and a step for each of its images.
ItemWork = Callable[["Segmenter", Mapping[str, Any], Callable[[str], None]], list[dict[str, Any]]]


@dataclass
class RunReport:
    """What a run did.

    results: in the official format, in the order of the annotations.
    mapping: which classes were measured under which category ids.
    frames, seconds: of this call, without what an earlier one had done.
    resumed: images or videos that an earlier, interrupted run had done.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    mapping: CategoryMap | None = None
    frames: int = 0
    seconds: float = 0.0
    resumed: int = 0


@dataclass(frozen=True)
class _Setup:
    """Makes a worker: the Segmenter arrives as a copy of the driver's."""

    segmenter: Segmenter
    work: ItemWork

    def __call__(self) -> Callable[[Any, Report], list[dict[str, Any]]]:
        return self._one

    def _one(self, item: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
        done = itertools.count(1)
        return self.work(self.segmenter, item, lambda note: report(next(done), None))


@dataclass(frozen=True)
class SetRun:
    """The items of a set, and who works at them: `jobs` processes, or a cluster (see `run_coco`)."""

    segmenter: Segmenter
    items: Sequence[Mapping[str, Any]]
    folder: Path
    work: ItemWork
    jobs: int = 1
    ray: str | None = None

    def finish(
        self,
        mapping: CategoryMap,
        output: str | os.PathLike[str] | None,
        settings: Mapping[str, Any],
        quiet: bool,
    ) -> RunReport:
        """Do the items that are not done yet, and write the results of all."""
        files = [self.folder / name for item in self.items for name in _names(item)]
        for path in files:
            if not path.is_file():
                raise DataError(f"{path} is missing; the annotations name it")
        if output is not None:
            check_outputs([output, journal_path(Path(output))], [*files, *self.segmenter.weights.files])
            check_writable(output)
        report = RunReport(mapping=mapping)
        key = fingerprint(self.segmenter, self.items, mapping, settings)
        with closing(Journal(None if output is None else Path(output), key)) as journal:
            todo = [item for item in self.items if item["id"] not in journal.done]
            report.resumed = len(self.items) - len(todo)
            progress = Progress(sum(len(_names(item)) for item in todo), quiet=quiet)
            start = time.perf_counter()
            try:
                for item, entries in self._results(todo, progress):
                    journal.add(item["id"], entries)
            finally:
                progress.clear()
            report.frames, report.seconds = progress.frames, time.perf_counter() - start
            report.results = [entry for item in self.items for entry in journal.done[item["id"]]]
            if output is not None:
                with Output(output) as file:
                    json.dump(report.results, file.open())
            journal.finished()
        return report

    def _results(
        self, todo: Sequence[Mapping[str, Any]], progress: Progress
    ) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
        """Items with their results, as they come."""
        if not todo or (self.jobs == 1 and self.ray is None):
            for item in todo:
                yield item, self.work(self.segmenter, item, progress.step)
            return
        setup = _Setup(self.segmenter, self.work)
        threads = self.segmenter.threads
        with open_pool(setup, jobs=self.jobs, threads=threads, ray=self.ray, retries=RETRIES) as pool:
            # Annotations of an item may be large, and its work needs none.
            for item in todo:
                pool.submit({key: item[key] for key in _NEEDED if key in item})
            for event in pool.events():
                if isinstance(event, Progressed):
                    continue
                item = todo[event.task.number]
                if isinstance(event, Failed):
                    if isinstance(event.error, WorkerCrash):
                        raise DataError(f"{self.folder / _names(item)[0]}: {event.error}") from event.error
                    raise event.error
                for _ in _names(item):
                    progress.step(str(item.get("name", "")))
                yield item, event.value


def _names(item: Mapping[str, Any]) -> list[str]:
    """Image files of an image or a video.

    Raises:
        DataError: if the item names none.
    """
    if "file_names" in item:
        return list(item["file_names"])
    name = item.get("file_name")
    if not isinstance(name, str) or not name:
        kind = "video" if "length" in item else "image"
        raise DataError(f"{kind} {item['id']}: expected the name of its file, got {said(name)}")
    return [name]


def fingerprint(
    segmenter: Segmenter,
    items: Sequence[Mapping[str, Any]],
    mapping: CategoryMap,
    settings: Mapping[str, Any],
) -> str:
    """What results depend on: weights, size, the set's items and categories, settings, version."""
    digest = hashlib.sha256()
    for name in sorted(segmenter.weights.tensors):
        digest.update(name.encode() + np.ascontiguousarray(segmenter.weights.tensors[name]).tobytes())
    size = segmenter.size if isinstance(segmenter.size, int) else list(segmenter.size)
    depends: list[Any] = [__version__, size, segmenter.color, segmenter.duplicate_iou]
    depends += [
        segmenter.components,
        segmenter.precision,
        list(segmenter.classes),
        mapping.ids,
        segmenter.weights.mean,
        segmenter.weights.std,
        dict(settings),
    ]
    depends += [[item["id"], _names(item)] for item in items]
    digest.update(json.dumps(depends, sort_keys=True).encode())
    return digest.hexdigest()


def journal_path(output: Path) -> Path:
    """The journal beside an output."""
    return output.with_name(fitting_name(output.name, ".partial.jsonl"))


class Journal:
    """Finished items of a run as JSON lines beside its output; a run with the same key goes on from it.

    done: results of each finished item. A line that was cut off by a crash is dropped, and so is a journal
    of another key: it belongs to other weights, settings or annotations.
    """

    def __init__(self, output: Path | None, key: str) -> None:
        self.done: dict[Any, list[dict[str, Any]]] = {}
        self.path = journal_path(output) if output is not None and is_plain(output) else None
        self._file: RecordFile | None = None
        if self.path is None:
            return
        first, *others = [*read_records(self.path)] or [None]
        if first == {"key": key}:
            self.done = {one[0]: one[1] for one in others if isinstance(one, list) and len(one) == 2}
        self._file = RecordFile(self.path, [{"key": key}, *self.done.items()])

    def add(self, item: Any, entries: list[dict[str, Any]]) -> None:
        """Note an item as finished; on the disk when this returns, as far as the process is concerned."""
        self.done[item] = entries
        if self._file is not None:
            self._file.add([item, entries])

    def finished(self) -> None:
        """The output is written: remove the journal."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which stays."""
        if self._file is not None:
            self._file.close()
