"""A line of progress on a terminal; nothing where the output is no terminal."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts frames and shows their rate on standard error, at most ten times a second.

    Args:
        total: number of frames, if known.
        quiet: show nothing at all.
    """

    def __init__(self, total: int | None = None, *, quiet: bool = False) -> None:
        self._total = total
        self._shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._start = time.perf_counter()
        self._last = 0.0
        self.frames = 0

    @property
    def rate(self) -> float:
        """Frames per second so far."""
        return self.frames / max(time.perf_counter() - self._start, 1e-9)

    def step(self, note: str = "") -> None:
        """Count a frame."""
        self.frames += 1
        now = time.perf_counter()
        if self._shown and (now - self._last > 0.1 or self.frames == self._total):
            self._last = now
            of = f"/{self._total} ({100 * self.frames // self._total} %)" if self._total else ""
            left = ""
            if self._total and self.frames < self._total:
                left = f", {(self._total - self.frames) / self.rate:.0f} s left"
            sys.stderr.write(f"\r\033[Kframe {self.frames}{of}, {self.rate:.1f} frames/s{left}  {note}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
