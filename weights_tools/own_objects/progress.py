"""What is said while a training runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


class TrainingProgress:
    """Listens to a run's log: a line for each measurement, and one that is renewed on a terminal.

    Args:
        deadline: Unix time at which the schedule ends at the latest, or None.
        say: Prints a line.
        quiet: Say nothing.
    """

    def __init__(self, deadline: float | None, say: Callable[[str], None], *, quiet: bool = False) -> None:
        self._deadline, self._say, self._quiet = deadline, say, quiet
        self._shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._begun, self._first = time.time(), -1.0
        self._progress, self._best = 0.0, 0.0

    def __call__(self, entry: Mapping[str, Any]) -> None:
        """Take an entry of the log."""
        self._progress = float(entry["progress"])
        if self._first < 0:
            self._begun, self._first = time.time(), self._progress
        if "val" in entry:
            self._measured(entry)
        else:
            shown = f"loss {entry['loss']:.2f}, masks {100 * entry['iou']:.0f} % right"
            self._renew(f"{entry['images']} images, {entry['speed']:.1f}/s, {shown}{self._left()}")

    def _measured(self, entry: Mapping[str, Any]) -> None:
        table = entry["val"]
        better = table["AP"] > self._best
        self._best = max(self._best, table["AP"])
        self._renew("")
        if not self._quiet:
            mark = " (best)" if better else ""
            self._say(
                f"{100 * self._progress:3.0f} %  {entry['images']} images: AP {table['AP']:.1f}, "
                f"AP50 {table['AP50']:.1f}{mark}{self._left()}"
            )

    def _left(self) -> str:
        """The estimate: what is left goes on as fast as what was done."""
        done = self._progress - self._first
        if self._first < 0 or done <= 0 or self._progress >= 1.0:
            return ""
        left = (time.time() - self._begun) * (1.0 - self._progress) / done
        if self._deadline is not None:
            left = min(left, max(self._deadline - time.time(), 0.0))
        return f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"

    def _renew(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()

    def close(self) -> None:
        """Remove the line."""
        self._renew("")
