"""Work for pools in the tests: tasks that end well, raise, die, hang or wait, as their payload says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from mobileinst.parallel.pool import Report, Work


class TwoArguments(Exception):
    """Can be pickled, but not read back: its text alone doesn't make one."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def setup() -> Work:
    made_at = time.perf_counter_ns(), os.getpid()

    def work(payload: Any, report: Report) -> Any:
        kind, *rest = payload
        if kind == "square":
            return rest[0] ** 2
        if kind == "worker":
            return made_at
        if kind == "raise":
            raise rest[0]
        if kind == "raise two":
            raise TwoArguments("a", "b")
        if kind == "signal":
            os.kill(os.getpid(), rest[0])
        if kind == "exit":
            os._exit(rest[0])
        if kind == "steps":
            for i in range(10):
                report(i, 10)
                time.sleep(rest[0])
            return "stepped"
        if kind == "first time":
            # Whoever comes first dies, later ones live.
            try:
                Path(rest[0]).touch(exist_ok=False)
            except FileExistsError:
                return "second"
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(rest[0] if rest else 600)
        return kind

    return work


def bad_setup() -> Work:
    raise ValueError("no weights")


def deadly_setup() -> Work:
    os._exit(3)
