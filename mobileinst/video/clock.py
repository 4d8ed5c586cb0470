"""Times of frames that rise, from the time stamps of a container that may not."""

from __future__ import annotations

import heapq
from fractions import Fraction

from .frames import DEFAULT_RATE

#: A step back by more frames than this is a new start (joined recordings); by less, a wrong stamp.
_REORDERED = 8


class Clock:
    """Seconds since the first frame, each above the one before.

    Args:
        base: seconds of one tick of the time stamps, None where there are none.
        rate: frames per second, where known.
        sort: stamps are those of the packets, in the order in which they are decoded (AVI): the frames, which
            come in the order in which they are shown, get them sorted.
    """

    def __init__(self, base: Fraction | None, rate: Fraction | None, *, sort: bool = False) -> None:
        self._base = base
        self._step = float(1 / (rate or DEFAULT_RATE))
        self._sort = sort
        self._pending: list[int] = []
        self._origin: float | None = None
        self._last: float | None = None

    def packet(self, stamp: int | None) -> None:
        """Note the stamp of a packet that goes to the decoder."""
        if self._sort and stamp is not None:
            heapq.heappush(self._pending, stamp)

    def frame(self, stamp: int | None) -> float:
        """The time of the next frame, by its stamp."""
        if self._pending:
            stamp = heapq.heappop(self._pending)
        last = self._last
        if stamp is None or not self._base:
            at = 0.0 if last is None else last + self._step
        else:
            said = float(stamp * self._base)
            if self._origin is None:
                self._origin = said - (0.0 if last is None else last + self._step)
            at = said - self._origin
            if last is not None and at <= last:
                if last - at > _REORDERED * self._step:
                    self._origin = said - last - self._step
                    at = last + self._step
                else:
                    at = last + self._step / 2
        self._last = at
        return at
