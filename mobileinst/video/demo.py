"""The clip of `mobileinst demo`: photographs that scikit-image ships, moving across each other."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.extras import import_extra
from .frames import Frame, FrameSource
from .images import read_image

SIZE = (480, 560)
FRAMES = 72


class DemoSource(FrameSource):
    """An astronaut's portrait sways while a cat's photograph glides up and down beside it.

    Args:
        folder: where scikit-image's astronaut.png and chelsea.png lie; None takes them from scikit-image.

    Raises:
        ImportError: without scikit-image or, for a folder, Pillow; the message names the extra.
        VideoError: if the folder lacks one of the photographs.
    """

    name = "demo"
    rate = Fraction(24)
    count = FRAMES

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            data = import_extra("skimage.data", "the demo needs scikit-image", "demo")
            astronaut, cat = data.astronaut(), data.chelsea()
        else:
            astronaut, cat = (read_image(folder / name) for name in ("astronaut.png", "chelsea.png"))
        self._astronaut = _rgb(astronaut)[:420, :330]
        self._cat = _half(_rgb(cat))

    def __iter__(self) -> Iterator[Frame]:
        for number in range(FRAMES):
            yield Frame(self._compose(number / (FRAMES - 1)), float(number / self.rate), f"frame {number}")

    def _compose(self, at: float) -> NDArray[np.uint8]:
        """The frame at 0..1 of the clip."""
        canvas = np.full((*SIZE, 3), (96, 104, 112), np.uint8)
        swing = 0.5 - 0.5 * np.cos(2 * np.pi * at)
        _paste(canvas, self._astronaut, round(20 + 30 * swing), round(30 * swing) - 10)
        _paste(canvas, self._cat, round(60 + 200 * (1 - swing)), round(325 + 8 * swing))
        return canvas


def _paste(canvas: NDArray[np.uint8], picture: NDArray[np.uint8], top: int, left: int) -> None:
    """Put a picture on the canvas, as far as it lies inside."""
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + picture.shape[0], canvas.shape[0])
    x1 = min(left + picture.shape[1], canvas.shape[1])
    if y0 < y1 and x0 < x1:
        canvas[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]


def _rgb(image: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image, np.uint8)[..., :3])


def _half(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At half the size, each pixel the mean of four."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    fours = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    return np.asarray(fours.mean((1, 3)), np.uint8)
