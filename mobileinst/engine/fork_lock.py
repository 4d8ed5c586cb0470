"""A lock that a forked process can take."""

from __future__ import annotations

import os
import threading


class ForkLock:
    """A lock that is free in a forked process, whoever held it in the parent at that moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            # A new process has one thread, so no two come here at once before it starts others.
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
