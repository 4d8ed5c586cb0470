"""Work that may wait for ever, such as reading a silent stream, in a thread that nobody waits for.

The caller waits in Python, where signals are handled, so that Ctrl-C and SIGTERM end a program whatever the
thread waits for.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds between two looks at whether the caller still wants to wait.
_LOOK = 0.1
#: Items that are made ahead at most.
_AHEAD = 2


class _End:
    """Behind the last item, with the exception that ended them."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Background(Generic[T]):
    """The items of an iterator that runs in a daemon thread.

    Args:
        make: makes the iterator, in the thread.
        cancelled: once set, the iteration ends within a moment; nothing set means that it runs to its end.
    """

    def __init__(self, make: Callable[[], Iterator[T]], cancelled: threading.Event | None = None) -> None:
        self._cancelled = cancelled or threading.Event()
        self._abandoned = threading.Event()
        self._items: queue.Queue[T | _End] = queue.Queue(_AHEAD)
        threading.Thread(target=self._run, args=(make,), daemon=True, name="mobileinst-reader").start()

    def _run(self, make: Callable[[], Iterator[T]]) -> None:
        end = _End()
        try:
            for item in make():
                if not self._put(item):
                    return
        except BaseException as error:
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        while not self._abandoned.is_set():
            try:
                self._items.put(item, timeout=_LOOK)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[T]:
        try:
            while not self._cancelled.is_set():
                try:
                    item = self._items.get(timeout=_LOOK)
                except queue.Empty:
                    continue
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                yield item
        finally:
            self._abandoned.set()


def in_background(work: Callable[[], T]) -> T:
    """The result of `work`, done in a daemon thread; exceptions are passed on."""
    for result in Background(lambda: iter([work()])):
        return result
    raise AssertionError("a background thread ended without a result")
