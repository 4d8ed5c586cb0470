"""How long each stage of a run takes."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up the time between laps by the name of the stage that each lap ends."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the lap before (or the start) as this stage's."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
