"""Ends a process that makes no progress, even one that hangs inside a native library."""

from __future__ import annotations

import faulthandler
import os
import sys
import time


class Watchdog:
    """While active, the process exits after `timeout` seconds without a call of `alive`.

    The clock is faulthandler's thread, which needs no interpreter lock; it writes where each thread hung to
    standard error. None as `timeout` waits for ever.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._armed = 0.0

    def alive(self) -> None:
        """Say that there is progress."""
        # Setting the clock starts a thread, so not for each of many quick frames.
        if self._timeout is not None and time.monotonic() - self._armed > 0.1 * self._timeout:
            self._arm()

    def _arm(self) -> None:
        if self._timeout is not None:
            self._armed = time.monotonic()
            faulthandler.dump_traceback_later(self._timeout, exit=True, file=_errors())

    def __enter__(self) -> Watchdog:
        self._arm()
        return self

    def __exit__(self, *error: object) -> None:
        if self._timeout is not None:
            faulthandler.cancel_dump_traceback_later()


def _errors() -> int:
    """A descriptor that can be written to: standard error may be replaced by something without one."""
    for stream in (sys.stderr, sys.__stderr__):
        try:
            return stream.fileno() if stream is not None else os.open(os.devnull, os.O_WRONLY)
        except (OSError, ValueError):
            continue
    return os.open(os.devnull, os.O_WRONLY)
