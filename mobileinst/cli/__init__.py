"""The command line, `mobileinst`: its program and what each command does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on standard error."""
    try:
        # Within this, since loading it takes a while on a small machine.
        from .program import main as run

        return run(arguments)
    except KeyboardInterrupt:
        print("mobileinst: error: interrupted", file=sys.stderr)
        return 130
