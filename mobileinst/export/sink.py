"""What every export format is: a sink for the results of one source, and the option that asks for it."""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..io.files import NamedWrites, Output
from ..io.staged import StagedFolder
from ..results import Instances

if TYPE_CHECKING:
    from ..video import FrameSource


@dataclass(frozen=True)
class FrameResult:
    """What was found in a frame.

    number: of the frame, from 0. time: seconds since the first one. name: of its file, for images. overlay:
    uint8 (H, W, 3), the frame drawn, where `Sink.wants_overlay` asked for it.
    """

    number: int
    time: float
    instances: Instances
    name: str | None = None
    overlay: NDArray[np.uint8] | None = None


class Sink(ABC):
    """Where the results of one source go, frame by frame; its file appears under its name when finished.

    Args:
        path: the file, or the folder, to write.
    """

    @abstractmethod
    def __init__(self, path: str) -> None: ...

    @classmethod
    def open(cls, path: str, source: FrameSource | None = None) -> Sink:
        """The sink for a source of frames, None for single images."""
        return cls(path)

    def wants_overlay(self, instances: Instances) -> bool:
        """Whether the next `write` needs the frame with its instances drawn on it."""
        return False

    @abstractmethod
    def write(self, frame: FrameResult) -> None:
        """Add the next frame."""

    def complete(self) -> None:  # noqa: B027 (nothing is left for most)
        """Write what is left to write: after this `finish` only gives names, which hardly fails.

        So that of several sinks none is finished where another one can't be.
        """

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written and give it its name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was begun."""


class FileSink(Sink):
    """A sink whose results are one output: a file, or files of one folder."""

    _output: Output | StagedFolder
    _completed = False

    def complete(self) -> None:
        if not self._completed:
            with NamedWrites(self._output.path):
                self._end()
                self._output.complete()
            self._completed = True

    def _end(self) -> None:
        """Write what waits for the last frame."""

    def finish(self) -> None:
        self.complete()
        self._output.finish()

    def discard(self) -> None:
        self._output.discard()


@dataclass(frozen=True)
class ExportFormat:
    """A format that users ask for.

    name: what `pipeline.track` calls it. flags: options of the command line. metavar, text: their help.
    suffix: of files that are named for a source. commands: which of "track" and "segment" offer it. sink:
    what writes it.
    """

    name: str
    flags: tuple[str, ...]
    metavar: str
    text: str
    suffix: str
    commands: tuple[str, ...]
    sink: type[Sink]


_FORMATS: dict[str, ExportFormat] = {}
_SinkType = TypeVar("_SinkType", bound=type[Sink])


def export_format(
    name: str, *flags: str, metavar: str, text: str, suffix: str, commands: tuple[str, ...] = ("track",)
) -> Callable[[_SinkType], _SinkType]:
    """Class decorator that registers a sink; without `flags` the option is --name."""

    def register(sink: _SinkType) -> _SinkType:
        chosen = flags or (f"--{name.replace('_', '-')}",)
        _FORMATS[name] = ExportFormat(name, chosen, metavar, text, suffix, commands, sink)
        return sink

    return register


def export_formats(command: str) -> dict[str, ExportFormat]:
    """The formats that a command offers by name, of all modules of this package in order."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    ordered = sorted(_FORMATS.values(), key=lambda chosen: chosen.sink.__module__)
    return {chosen.name: chosen for chosen in ordered if command in chosen.commands}
