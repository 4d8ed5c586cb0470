"""MOTS text."""

from __future__ import annotations

import os

from ..io.files import NamedWrites, Output
from ..results import NO_ID, compress, encode
from .owners import owner_map
from .sink import FileSink, FrameResult, export_format


@export_format("mots", metavar="TXT", text="MOTS text", suffix=".mots.txt")
class MotsSink(FileSink):
    """MOTS text: ``frame id class height width rle`` a line; where masks overlap the better score wins.

    Frames count from 0, classes from 1; instances without a track are left out.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._output = Output(path)
        self._file = self._output.open()

    def write(self, frame: FrameResult) -> None:
        tracked = frame.instances[frame.instances.ids != NO_ID]
        owners = owner_map(tracked)
        for i in range(len(tracked)):
            mask = owners == i + 1
            if mask.any():
                rle = compress(encode(mask[None])[0])
                label = int(tracked.labels[i]) + 1
                line = f"{frame.number} {tracked.ids[i]} {label} {tracked.height} {tracked.width} {rle}\n"
                with NamedWrites(self._output.path):
                    self._file.write(line)
