"""JSON lines: one object for each frame."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

from ..io.files import NamedWrites, Output
from ..results import Instances
from .sink import FrameResult, Sink, export_format


def frame_record(frame: int, time: float, instances: Instances, name: str | None = None) -> dict[str, Any]:
    """One frame as a JSON-ready object.

    ``{"frame", "time" (seconds)}`` and what `Instances.to_dict` gives; with `name` also ``"file"``.
    """
    record: dict[str, Any] = {"frame": frame, "time": round(time, 6)}
    if name is not None:
        record["file"] = name
    return record | instances.to_dict()


@export_format(
    "json",
    metavar="FILE",
    text="one JSON object a line for each frame or image; - for stdout",
    suffix=".jsonl",
    commands=("track", "segment"),
)
class JsonLinesSink(Sink):
    """One JSON object a line for each frame, see `frame_record`; path "-" is standard output."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = "standard output" if str(path) == "-" else str(path)
        self._output = None if str(path) == "-" else Output(path)
        if self._output is None and sys.stdout is None:
            raise OSError("can't write to standard output: it is closed")
        self._file: IO[str] = sys.stdout if self._output is None else self._output.open()
        # Who reads a pipe wants each line at once.
        self._live = self._output is None or self._output.direct

    def write(self, frame: FrameResult) -> None:
        record = frame_record(frame.number, frame.time, frame.instances, frame.name)
        line = json.dumps(record, separators=(",", ":"))
        with NamedWrites(self._path):
            self._file.write(line + "\n")
            if self._live:
                self._file.flush()

    def complete(self) -> None:
        if self._output is not None:
            self._output.complete()

    def finish(self) -> None:
        if self._output is not None:
            self._output.finish()

    def discard(self) -> None:
        if self._output is not None:
            self._output.discard()
