"""A text file that is written when a run has ended, but checked before it begins."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..io.files import NamedWrites, Output
from ..results import Instances
from .sink import FileSink


class AtEndSink(FileSink):
    """Writes what `text` returns at the end.

    Raises:
        OSError: if the file can't be written.
    """

    def __init__(self, path: str | os.PathLike[str], text: Callable[[], str]) -> None:
        self._text = text
        self._output = Output(path)
        self._written = False

    def write(
        self,
        frame: int,
        time: float,
        instances: Instances,
        name: str | None = None,
        overlay: NDArray[np.uint8] | None = None,
    ) -> None:
        """Frames are not looked at."""

    def complete(self) -> None:
        if not self._written:
            with NamedWrites(self._output.path):
                self._output.open().write(self._text())
                self._output.complete()
            self._written = True
