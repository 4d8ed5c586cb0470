"""PNG pictures of the owners of pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..io.png import write_png
from ..results import NO_ID, Instances
from .owners import owner_map
from .sink import Sink, export_format


@export_format("masks", metavar="DIR", text="16-bit PNGs of track ids", suffix=".masks")
class PngMaskSink(Sink):
    """A folder with one 16-bit PNG for each frame: the id of the track that owns a pixel, 0 for none.

    Instances without a track count from 1, best first. Files are named by frame: 000000.png.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._made = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._written: list[Path] = []

    def write(
        self,
        frame: int,
        time: float,
        instances: Instances,
        name: str | None = None,
        overlay: NDArray[np.uint8] | None = None,
    ) -> None:
        path = self._folder / f"{frame:06d}.png"
        ids = np.where(instances.ids == NO_ID, np.arange(len(instances)) + 1, instances.ids)
        write_png(path, np.concatenate([[0], ids]).astype(np.uint16)[owner_map(instances)])
        self._written.append(path)

    def finish(self) -> None:
        """Nothing is left to do: each file was finished by itself."""

    def discard(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
        if self._made and not any(self._folder.iterdir()):
            self._folder.rmdir()
