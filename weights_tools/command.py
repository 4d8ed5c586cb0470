"""What the tools' commands do with errors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

from mobileinst.io.terminal import one_line

P = ParamSpec("P")


def tells_errors(main: Callable[P, int]) -> Callable[P, int]:
    """Decorator of a command: what its user can mend becomes a line on standard error and the status 2."""

    @functools.wraps(main)
    def told(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return main(*arguments, **options)
        except (OSError, ValueError) as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            return 2

    return told
