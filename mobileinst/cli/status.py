"""Exit codes, and how an error is said."""

from __future__ import annotations

import sys

from ..io.terminal import one_line, printable_lines

#: Exit codes besides 0; from 128 on as shells count signals.
FAILED, SIGNALLED, INTERRUPTED, BROKEN_PIPE = 2, 128, 130, 141


def say(text: object = "", *, to_stderr: bool = False) -> None:
    """Print lines of text: what steers a terminal is shown as escapes, whoever wrote it into a file."""
    stream = sys.stderr if to_stderr else sys.stdout
    if stream is not None:  # closed by whoever started the program
        print(printable_lines(text), file=stream)


def fail(message: str, code: int) -> int:
    """Say an error in one line on standard error; returns the exit code."""
    say(f"mobileinst: error: {one_line(message)}", to_stderr=True)
    return code
