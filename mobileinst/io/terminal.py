"""Words for the terminal: one line, nothing in it that steers the terminal, in any encoding."""

from __future__ import annotations

import contextlib
import os
import sys


def printable(text: object) -> str:
    """The text with control characters, line ends and bytes outside of UTF-8 shown as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def printable_lines(text: object) -> str:
    """The text with its line ends, each line `printable`."""
    return "\n".join(printable(line) for line in str(text).split("\n"))


def short(value: object) -> str:
    """A value for messages, at most 80 characters of it; of an exception its text."""
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def one_line(text: object) -> str:
    """The text on one line, `printable`."""
    return printable(" ".join(str(text).split()))


def prepare_streams() -> None:
    """Make standard streams safe to write to, whatever the terminal and the caller left.

    Characters that an encoding lacks are written as escapes. Closed descriptors 0 to 2 lead to the null
    device, so that no file that is opened later takes their place and receives messages.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", "") != "backslashreplace":
            reconfigure(errors="backslashreplace")
