"""What an output folder knows of its sources: a journal for restarts, and a lock against a second run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO, Any

from ..io.records import RecordFile, read_records
from ..video import VideoError

#: Below the output folder; holds the journal, the lock and the attempts at work.
FOLDER = ".batch"


class Journal:
    """The last record of each source that came to an end, by its place, as JSON lines in the output folder.

    Records are added one by one, so that a run that is killed loses none; a line that it left unfinished is
    skipped by the next. While it is open no other run can work in the folder.

    Raises:
        VideoError: if another run is at work there.
        OSError: if the folder can't be made or written to.
    """

    def __init__(self, output: Path) -> None:
        folder = output / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / "lock", output)
        self.attempts = folder / "attempts"
        # What runs left that were killed.
        shutil.rmtree(self.attempts, ignore_errors=True)
        self.attempts.mkdir(exist_ok=True)
        path = folder / "journal.jsonl"
        found = (record for record in read_records(path) if isinstance(record, dict) and "place" in record)
        self.records: dict[str, dict[str, Any]] = {str(record["place"]): record for record in found}
        self._file = RecordFile(path, self.records.values())

    def add(self, record: dict[str, Any]) -> None:
        """Note what became of a source."""
        self.records[record["place"]] = record
        self._file.add(record)

    def clear_attempts(self, name: str) -> int:
        """Remove what attempts at a source left, its pieces included, and say how many it had as a whole."""
        whole = list(self.attempts.glob(f"{name}-*"))
        for folder in (*whole, *self.attempts.glob(f"{name}.*")):
            shutil.rmtree(folder, ignore_errors=True)
        return len(whole)

    def close(self) -> None:
        """Remove all attempts and let others at the folder."""
        self._file.close()
        shutil.rmtree(self.attempts, ignore_errors=True)
        self._lock.close()


def _locked(path: Path, output: Path) -> IO[str]:
    """The file, locked until it is closed or the process ends."""
    file = path.open("a", encoding="utf-8")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except BlockingIOError:
        file.close()
        raise VideoError(f"another batch is at work in {output}") from None
    except OSError:
        # A file system without locks: two runs would only do work twice.
        pass
    return file


def is_done(record: dict[str, Any], key: str, output: Path) -> bool:
    """Whether a record says that a source of this key is done, and all its outputs are still there."""
    if record.get("status") != "done" or record.get("key") != key:
        return False
    return all(os.path.exists(output / name) for name in record.get("outputs", {}).values())
