"""How far a run is, and what follows from it: learning rate and crop sizes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from weights_tools.training.config import OptimiserConfig, Phase


def rate_factor(progress: float, step: int, config: OptimiserConfig) -> float:
    """Share of the peak learning rate at ``progress`` (0 to 1) and step (for the warm-up)."""
    warm = 1.0
    if step < config.warmup:
        warm = 0.001 + 0.999 * (step + 1) / config.warmup
    if config.milestones:
        return warm * 0.1 ** sum(progress >= milestone for milestone in config.milestones)
    if progress <= config.flat:
        return warm
    done = min((progress - config.flat) / max(1.0 - config.flat, 1e-9), 1.0)
    return warm * (config.final + (1.0 - config.final) * 0.5 * (1.0 + math.cos(math.pi * done)))


def crop_size(progress: float, step: int, phases: Sequence[Phase], seed: int) -> int:
    """Crop size of a step: one of the current phase's, drawn at random."""
    phase = next((p for p in phases if progress < p.until), phases[-1])
    rng = np.random.default_rng((seed, 3, step))
    return int(phase.sizes[int(rng.integers(len(phase.sizes)))])


class Clock:
    """Progress of a run: the share of its images, or of the time until a deadline, whichever is further.

    Args:
        images: Images in all.
        started: Unix time at which the time share is ``base``.
        deadline: Unix time at which the run is complete, or None.
        base: Progress at ``started``, so that a resumed run goes on from where it was.
    """

    def __init__(
        self, images: int, started: float = 0.0, deadline: float | None = None, base: float = 0.0
    ) -> None:
        self.images = images
        self.started = started
        self.deadline = deadline
        self.base = base

    def progress(self, seen: int) -> float:
        """0 to 1 after ``seen`` images."""
        share = seen / self.images
        if self.deadline is not None:
            elapsed = (time.time() - self.started) / max(self.deadline - self.started, 1.0)
            share = max(share, self.base + (1.0 - self.base) * elapsed)
        return min(share, 1.0)


def next_time_of_day(text: str, now: float | None = None) -> float:
    """Unix time of the next HH:MM on this machine's clock.

    Raises:
        ValueError: if the text is no time of day.
    """
    now = time.time() if now is None else now
    try:
        wanted = time.strptime(text, "%H:%M")
    except ValueError as error:
        raise ValueError(f"expected a time of day as HH:MM, got {text!r}") from error
    local = time.localtime(now)
    moment = time.mktime((*local[:3], wanted.tm_hour, wanted.tm_min, 0, *local[6:8], -1))
    return moment if moment > now else moment + 24 * 3600
