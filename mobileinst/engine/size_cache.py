"""What is made for an input size, kept for the last few of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from mobileinst.engine.fork_lock import ForkLock

Made = TypeVar("Made")

#: Sizes whose plans a model keeps; the least recently used goes first.
CACHED_SESSIONS = 4


class SizeCache(Generic[Made]):
    """What ``make(height, width)`` gives, made once while its size is among the last few. For any thread."""

    def __init__(self, make: Callable[[int, int], Made]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[int, int], Made] = OrderedDict()
        self._lock = ForkLock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, height: int, width: int) -> Made:
        """Of that size (pixels)."""
        key = (height, width)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._make(height, width)
            self._kept.move_to_end(key)
            while len(self._kept) > CACHED_SESSIONS:
                self._kept.popitem(last=False)
            return self._kept[key]
