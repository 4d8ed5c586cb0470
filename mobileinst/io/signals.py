"""Signals that wait until something short is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def hold_signals() -> Iterator[None]:
    """Keep Ctrl-C and requests to end from breaking off what is inside; they are acted on at its end.

    Signals belong to the main thread: elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    replaced: dict[int, Any] = {}
    try:
        for name in _NAMES:
            number = getattr(signal, name, None)
            # An ignored one (nohup) stays so; None is a handler that Python can't put back.
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                replaced[number] = signal.signal(number, note)
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)
