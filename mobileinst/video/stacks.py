"""Frames in NumPy's files: `.npy` and `.npz`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..inputs import check_frame
from .frames import DEFAULT_RATE, Frame, FrameSource, VideoError, reason

STACK_SUFFIXES = (".npy", ".npz")


class StackSource(FrameSource):
    """Frames of a `.npy` file, uint8 (n, H, W, 3) or one image (H, W, 3), or of the only array of a `.npz`.

    A `.npy` is mapped, so that it may be larger than memory. Nothing in either is ever executed.
    """

    def __init__(self, path: Path, rate: Fraction = DEFAULT_RATE) -> None:
        self.name = str(path)
        self.rate = rate
        self._path = path
        shape = self._load().shape
        self.count = shape[0] if len(shape) == 4 else 1

    def _load(self) -> Any:
        try:
            if self._path.suffix.lower() == ".npz":
                loaded = self._only_array()
            else:
                loaded = np.load(self._path, mmap_mode="r", allow_pickle=False)
        except VideoError:
            raise
        except Exception as error:  # readers of damaged archives raise nearly everything
            raise VideoError(f"{self.name}: can't be read as NumPy's file: {reason(error)}") from None
        if loaded.ndim not in (3, 4) or not loaded.size:
            raise VideoError(
                f"{self.name}: expected frames as uint8 (n, height, width, 3), "
                f"got {loaded.dtype} {loaded.shape}"
            )
        self._check(loaded if loaded.ndim == 3 else loaded[0], 0)
        return loaded

    def _only_array(self) -> Any:
        with self._path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files
            if len(names) != 1:
                held = ", ".join(names) or "none"
                raise VideoError(f"{self.name}: expected one array of frames, it holds {held}")
            return archive[names[0]]

    def _check(self, image: Any, number: int) -> Any:
        try:
            return check_frame(np.asarray(image))
        except ValueError as error:
            raise VideoError(f"{self.name}: frame {number}: {error}") from None

    def __iter__(self) -> Iterator[Frame]:
        frames = self._load()
        for number, image in enumerate(frames if frames.ndim == 4 else [frames]):
            yield Frame(np.array(image), float(number / (self.rate or DEFAULT_RATE)), f"frame {number}")
