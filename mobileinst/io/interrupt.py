"""Ctrl-C between two frames, so that a run can finish its files."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """While active, the first Ctrl-C sets `asked`; the second raises KeyboardInterrupt as usual.

    Signals belong to the main thread: elsewhere this does nothing.

    Args:
        cancel: called at the first Ctrl-C, to end what the run may be waiting for.
    """

    def __init__(self, cancel: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._cancel = cancel
        self._previous: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._cancel()
