"""State of a run on disk, written so that a kill at any moment leaves a whole file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mobileinst.io.files import Output

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
LOG = "log.jsonl"


def save_file(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, replacing the last one at once."""
    with Output(path) as output:
        torch.save(dict(state), output.open("wb"))


def load_file(path: Path, device: torch.device) -> dict[str, Any] | None:
    """A state that was saved, or None if there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


class Log:
    """JSON lines: one object per entry, each written whole.

    Args:
        path: The file, or None to write nothing.
        listener: Called with every entry that is written.
    """

    def __init__(
        self, path: Path | None, listener: Callable[[Mapping[str, Any]], None] | None = None
    ) -> None:
        self._path = path
        self._listener = listener

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append an entry; floats but ``time`` are shortened to six digits."""
        if self._path is None:
            return
        short = {k: _shorten(v) if k != "time" else v for k, v in entry.items()}
        with self._path.open("a") as file:
            file.write(json.dumps(short) + "\n")
        if self._listener is not None:
            self._listener(short)


def _shorten(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole entries of a log."""
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:  # a last line cut off by a kill
            continue
    return entries
