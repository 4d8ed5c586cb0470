"""PNG pictures of the owners of pixels."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ..io.png import encode_png
from ..io.staged import StagedFolder
from ..results import NO_ID
from .owners import owner_map
from .sink import FileSink, FrameResult, export_format


@export_format("masks", metavar="DIR", text="16-bit PNGs of track ids", suffix=".masks")
class PngMaskSink(FileSink):
    """A folder with one PNG for each frame: the id of the track that owns a pixel, 0 for none.

    Instances without a track count from 1, best first. Files are named by frame: 000000.png. They are grey
    of 16 bits; a frame with a greater id than these hold is RGB, id = R + 256 G + 65536 B (COCO's panoptic
    form).
    The pictures take the place of an earlier run's only when finished.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._output: StagedFolder = StagedFolder(folder)

    def write(self, frame: FrameResult) -> None:
        instances = frame.instances
        ids = np.where(instances.ids == NO_ID, np.arange(len(instances)) + 1, instances.ids)
        owners = np.concatenate([[0], ids])[owner_map(instances)]
        self._output.write(f"{frame.number:06d}.png", encode_png(id_picture(owners)))


def id_picture(ids: NDArray[np.int64]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Ids (H, W) as a picture: uint16 (H, W), or uint8 (H, W, 3) with R + 256 G + 65536 B for greater ones.

    Raises:
        ValueError: for an id below 0 or from 2^24 on.
    """
    most = int(ids.max(initial=0))
    if ids.min(initial=0) < 0 or most >= 1 << 24:
        raise ValueError(f"expected ids of 0 to {(1 << 24) - 1} for a picture, got {ids.min()} to {most}")
    if most < 1 << 16:
        return ids.astype(np.uint16)
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
