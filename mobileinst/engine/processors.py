"""How many threads make a frame fastest here: by cores and their speeds, affinity, quotas and a variable."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobileinst import _native

#: More threads than this are a mistake.
MAX_THREADS: int = _native.MAX_THREADS

#: Ranges of work that a thread gets at least where cores differ in speed.
PIECES_WHERE_CORES_DIFFER = 6

#: Cores whose speeds differ by less count as equal: turbo frequencies of equal cores differ by some percent.
_ALIKE = 0.8

_SYSTEM = Path("/")


@dataclass(frozen=True)
class Processors:
    """What this process may use.

    Attributes:
        speeds: Speed of each usable core relative to the fastest of them, the fastest first.
        quota: Processors' worth of time that the container's quota allows, or None without a limit.
    """

    speeds: tuple[float, ...]
    quota: float | None = None

    @property
    def differ(self) -> bool:
        """Whether some cores are clearly slower than others (big and little ones)."""
        return self.speeds[-1] < _ALIKE * self.speeds[0]

    @property
    def threads(self) -> int:
        """The number of threads that makes a frame fastest, by :func:`makespan`; the fewest of equal ones."""
        most = min(len(self.speeds), MAX_THREADS)
        if self.quota is not None:
            most = max(1, min(most, math.ceil(self.quota)))
        pieces = PIECES_WHERE_CORES_DIFFER if self.differ else 1
        return min(range(1, most + 1), key=lambda n: (round(makespan(self.speeds[:n], pieces), 6), n))


def makespan(speeds: Sequence[float], pieces: int) -> float:
    """Time of work that the native pool cuts into so many pieces a core, each taken by a core that is free.

    In units of the time that a core of speed 1 takes for all of it. Of cores that are free at once the
    fastest, which comes first, takes the next piece.
    """
    free = [(0.0, index) for index in range(len(speeds))]
    end = 0.0
    count = pieces * len(speeds)
    for piece in range(count):
        # Equal pieces, or, where a core gets several, pieces whose length falls evenly to a fifth.
        length = 1.0 if pieces == 1 else (5.0 * count - 4.0 * piece - 2.0) / (3.0 * count)
        start, index = heapq.heappop(free)
        done = start + length / (count * speeds[index])
        end = max(end, done)
        heapq.heappush(free, (done, index))
    return end


def default_threads(usable: Processors | None = None) -> int:
    """Threads used where none are asked for: ``MOBILEINST_THREADS``, or else what is fastest.

    Args:
        usable: The processors there are; None looks at this machine.

    Raises:
        ValueError: if ``MOBILEINST_THREADS`` is no whole number from 1 on.
    """
    wanted = os.environ.get("MOBILEINST_THREADS", "").strip()
    if not wanted:
        return (usable_processors() if usable is None else usable).threads
    # The digits are counted first: Python refuses to read thousands of them.
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 20 and 1 <= int(wanted) <= MAX_THREADS):
        raise ValueError(
            f"MOBILEINST_THREADS: expected a whole number from 1 to {MAX_THREADS}, got {wanted[:40]!r}"
        )
    return int(wanted)


def usable_processors(root: Path = _SYSTEM, allowed: Collection[int] | None = None) -> Processors:
    """The processors of this machine that this process may use.

    Args:
        root: Where ``proc`` and ``sys`` are; other folders describe other machines.
        allowed: Numbers of the processors that may be used; None asks the system.
    """
    allowed = allowed_cores() if allowed is None else allowed
    speeds = core_speeds(root, allowed) or {0: 1.0}
    return Processors(tuple(sorted(speeds.values(), reverse=True)), container_quota(root))


def allowed_cores() -> Collection[int]:
    """Numbers of the cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return affinity(0) if affinity else range(os.cpu_count() or 1)


def core_speeds(root: Path, indices: Collection[int]) -> dict[int, float]:
    """Speeds of cores by their numbers, relative to the fastest of them."""
    told = {index: _core_speed(root, index) for index in sorted(indices)}
    # A core whose speed isn't told takes part as if it were one of the fastest.
    fastest = max((value for value in told.values() if value), default=1.0)
    return {index: (value or fastest) / fastest for index, value in told.items()}


def _core_speed(root: Path, index: int) -> float | None:
    """Relative speed of a core as Linux tells it: its capacity, or else its highest frequency."""
    core = root / f"sys/devices/system/cpu/cpu{index}"
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        value = _number(_read(core / name))
        if value:
            return value
    return None


def container_quota(root: Path = _SYSTEM) -> float | None:
    """Processors' worth of time that cgroups (v2 or v1) of this process allow; None without a limit."""
    limits = []
    for folder in _group_folders(root):
        period = _number(_read(folder / "cpu.cfs_period_us"))
        limits.append((_number(_read(folder / "cpu.cfs_quota_us")), period))
        values = _read(folder / "cpu.max").split()  # "max 100000" or "50000 100000"
        if len(values) == 2:
            limits.append((_number(values[0]), _number(values[1])))
    given = [quota / period for quota, period in limits if quota and period]
    return min(given, default=None)


def _group_folders(root: Path) -> list[Path]:
    """Folders of this process's control groups and of all groups around them.

    A container sees its own group as the root, whatever /proc says; so the roots are always among them.
    """
    mount = root / "sys/fs/cgroup"
    found = [mount, mount / "cpu", mount / "cpu,cpuacct", mount / "cpuacct,cpu"]
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        if controllers == "" or "cpu" in controllers.split(","):
            base = mount / controllers if controllers else mount
            found += [base.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    """A positive number, or None: Linux writes "max" and -1 for no limit."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
