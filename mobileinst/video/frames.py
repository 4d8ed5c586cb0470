"""What every source gives: frames, one at a time."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

DEFAULT_RATE = Fraction(30)
#: Frames per second that a source or a video may have.
RATES = (1e-6, 1000.0)


class VideoError(ValueError):
    """A source can't be opened, ends early or is damaged; or a video can't be written."""


@dataclass(frozen=True)
class Frame:
    """image: uint8 (H, W, 3), RGB. time: seconds since the first frame. name: what to call it."""

    image: NDArray[np.uint8]
    time: float
    name: str


class FrameSource(ABC):
    """Frames of one source, lazily. Iterating again starts again (not for cameras, pipes and streams).

    name: the source as the user called it. rate: frames per second, where the source states one. count:
    number of frames, where it is known beforehand. pixel_aspect: width of a pixel by its height.
    """

    name: str
    rate: Fraction | None = None
    count: int | None = None
    pixel_aspect: Fraction = Fraction(1)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Read the frames; raises VideoError, naming file and frame, where that fails."""

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """The frames' images alone, as `Segmenter.track` takes them."""
        return (frame.image for frame in self)

    def cancel(self) -> None:  # noqa: B027 (most sources never wait)
        """End a running iteration soon, as if the source ended; may be called by a signal handler.

        Of use where a source can wait for long: the default does nothing, since the next frame comes soon.
        """

    def files(self) -> list[str]:
        """The files that are read, as far as the source knows them."""
        return [self.name]


def rate_fraction(rate: float | Fraction) -> Fraction:
    """Frames per second as a fraction of small terms: 29.97002997 is 30000/1001.

    Raises:
        VideoError: for anything but a number in `RATES`.
    """
    low, high = RATES
    number = isinstance(rate, (int, float, Fraction, np.integer, np.floating)) and not isinstance(rate, bool)
    if not number or not low <= rate <= high:
        raise VideoError(f"expected frames per second of {low:g} to {high:g}, got {rate!r}")
    exact = rate if isinstance(rate, Fraction) else Fraction(float(rate))
    return exact.limit_denominator(1001 if exact >= 1 else 1_000_000)


def reason(error: BaseException) -> str:
    """What an error says, on one line."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0]


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages."""
    return os.fspath(path) or "''"
