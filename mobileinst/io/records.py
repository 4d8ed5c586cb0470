"""JSON lines that grow record by record: what a run did, for the one that goes on after an interruption."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .files import NamedWrites, Output


class RecordFile:
    """A file that a process which is killed leaves with every record that was added.

    Args:
        path: begun with `records`, in place of an older file.
    """

    def __init__(self, path: Path, records: Iterable[Any]) -> None:
        with Output(path) as fresh:
            fresh.open().writelines(json.dumps(record) + "\n" for record in records)
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def add(self, record: Any) -> None:
        """Add a record; on the disk when this returns, as far as the process is concerned."""
        with NamedWrites(self._path):
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file, which stays."""
        with contextlib.suppress(OSError):  # said by the write that failed before
            self._file.close()


def read_records(path: Path) -> Iterator[Any]:
    """The records of such a file, without lines that were cut off; none where there is no file."""
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                yield record
