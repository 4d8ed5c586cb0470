"""How far a batch is: a line on a terminal with what is left, and a line for each source that ended."""

from __future__ import annotations

import sys
import time
from typing import Any


class BatchProgress:
    """Counts sources by their size in bytes, which is known without opening them.

    Args:
        sizes: bytes of each source to be done, by its place.
        resumed: sources that an earlier run did.
        broken: sources that can't even be begun.
        quiet: show nothing but failures.
    """

    def __init__(self, sizes: dict[str, int], resumed: int, broken: int, *, quiet: bool = False) -> None:
        # A source without content counts a little, so that shares are never 0/0.
        self._sizes = {place: max(size, 1) for place, size in sizes.items()}
        self._all = sum(self._sizes.values())
        self._total = len(sizes) + resumed + broken
        self._finished = resumed
        self._quiet = quiet
        self._live = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._start = time.perf_counter()
        self._shown = 0.0
        self._bytes = 0
        self._frames = 0
        self._failed = 0
        self._at_work: dict[str, tuple[int, int | None]] = {}

    def step(self, place: str, frames: int, total: int | None) -> None:
        """A source at work has done `frames`, of `total` where that is known."""
        self._at_work[place] = frames, total
        self._show()

    def end(self, record: dict[str, Any]) -> None:
        """A source came to an end, with this record."""
        self._at_work.pop(record["place"], None)
        self._bytes += self._sizes.get(record["place"], 0)
        self._frames += record["frames"]
        self._finished += 1
        failed = record["status"] != "done"
        self._failed += failed
        if failed or not self._quiet:
            self._clear()
            print(f"{self._finished}/{self._total} {described(record)}", file=sys.stderr, flush=True)
        self._show(force=True)

    def clear(self) -> None:
        """Remove the line."""
        self._clear()
        self._live = False

    def left(self) -> float | None:
        """Seconds left at the pace so far, None before there is one."""
        share = self._share()
        elapsed = time.perf_counter() - self._start
        return elapsed * (1 - share) / share if share > 0 else None

    def _share(self) -> float:
        done = float(self._bytes)
        for place, (frames, total) in self._at_work.items():
            if total:
                done += self._sizes.get(place, 0) * min(frames / total, 1.0)
        return min(done / self._all, 1.0) if self._all else 1.0

    def _show(self, *, force: bool = False) -> None:
        now = time.perf_counter()
        if not self._live or (not force and now - self._shown < 0.1):
            return
        self._shown = now
        frames = self._frames + sum(frames for frames, _ in self._at_work.values())
        failed = f", {self._failed} failed" if self._failed else ""
        left = self.left()
        rest = f", {duration(left)} left" if left is not None else ""
        rate = frames / max(now - self._start, 1e-9)
        sys.stderr.write(
            f"\r\033[K{self._finished}/{self._total} sources{failed}, {len(self._at_work)} at work, "
            f"{rate:.1f} frames/s, {100 * self._share():.1f} %{rest}"
        )
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\033[K")


def described(record: dict[str, Any]) -> str:
    """One line about a source that ended."""
    if record["status"] != "done":
        source, error = record["source"], record["error"]
        return f"FAILED {error}" if error.startswith(source) else f"FAILED {source}: {error}"
    frames, tracks = record["frames"], record["tracks"]
    return (
        f"{record['source']}: {frames} frame{'s' * (frames != 1)}, {tracks} track{'s' * (tracks != 1)}, "
        f"{record['frames_per_second']:.1f} frames/s"
    )


def duration(seconds: float) -> str:
    """Seconds in the two units that say most.

    Example:
        >>> duration(42.3), duration(3700), duration(200_000)
        ('42 s', '1 h 1 min', '2 d 7 h')
    """
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
