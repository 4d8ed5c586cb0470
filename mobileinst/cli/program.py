"""The program `mobileinst`: its parser, its errors and its signals."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from .. import __version__
from ..io.terminal import one_line, prepare_streams
from . import commands
from .status import BROKEN_PIPE, FAILED, INTERRUPTED, SIGNALLED, fail, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on standard error."""
    prepare_streams()
    logging.basicConfig(handlers=[_OneLineHandler()], level=logging.WARNING)
    options = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
    replaced = _catch_signals()
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return BROKEN_PIPE
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        return fail(_told(error), FAILED)
    finally:
        _flush_or_close()
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def _told(error: Exception) -> str:
    """What an error says; of one of the system's the file and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        # Every file that is written names itself in its errors; what is left is what was said.
        return f"can't write to standard output: {error.strerror}"
    return str(error) or type(error).__name__


class _OneLineHandler(logging.Handler):
    """Log messages as errors are shown: one line on standard error, whichever that is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"mobileinst: {record.levelname}: {one_line(record.getMessage())}", to_stderr=True)


def _flush_or_close() -> None:
    """Keep the interpreter from failing at its last flush of a stream that takes no more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _catch_signals() -> list[signal.Signals]:
    """Turn the signals that would end the process at once into exceptions; says which."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Whoever ignores one (nohup) or handles it goes on doing so.
    replaced = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, _terminate)
    return replaced


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # As an exception, so that outputs which were begun are removed.
    raise SystemExit(SIGNALLED + number)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message} (see {self.prog} --help)", FAILED))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with a command for each module of `commands`."""
    parser = _Parser(prog="mobileinst", description="Find, outline and track objects in images and videos.")
    parser.add_argument("--version", action="version", version=f"mobileinst {__version__}")
    chosen = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in sorted(module.name for module in pkgutil.iter_modules(commands.__path__)):
        command = import_module(f"{commands.__name__}.{name}")
        text: str = command.HELP
        sub = chosen.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=command.run)
        if name in arguments:  # another command's options may need what can't be loaded here
            command.add_arguments(sub)
    return parser
