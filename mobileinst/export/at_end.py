"""A text file that is written when a run has ended, but checked before it begins."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..io.files import Output
from .sink import FileSink, FrameResult


class AtEndSink(FileSink):
    """Writes what `text` returns at the end.

    Raises:
        OSError: if the file can't be written.
    """

    def __init__(self, path: str | os.PathLike[str], text: Callable[[], str]) -> None:
        self._text = text
        self._output: Output = Output(path)

    def write(self, frame: FrameResult) -> None:
        """Frames are not looked at."""

    def _end(self) -> None:
        self._output.open().write(self._text())
