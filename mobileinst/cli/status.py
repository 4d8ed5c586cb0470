"""Exit codes, and how an error is said."""

from __future__ import annotations

import sys

#: Exit codes besides 0; from 128 on as shells count signals.
FAILED, SIGNALLED, INTERRUPTED, BROKEN_PIPE = 2, 128, 130, 141


def fail(message: str, code: int) -> int:
    """Say an error in one line on standard error; returns the exit code."""
    print(f"mobileinst: error: {' '.join(message.split())}", file=sys.stderr)
    return code
