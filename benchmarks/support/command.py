"""What all scripts do with their arguments and with what goes wrong."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mobileinst.io.files import check_writable


def positive(text: str) -> int:
    """A whole number from 1, as a type of argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return value


def make_parser(description: str | None, *, outputs: bool = False) -> argparse.ArgumentParser:
    """A parser that shows a module's docstring as it is, with --output and --table if there are `outputs`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if outputs:
        parser.add_argument("--output", type=Path, help="JSON file to write")
        parser.add_argument("--table", type=Path, help="Markdown file to write")
    return parser


def check_outputs(options: argparse.Namespace) -> None:
    """Raise OSError for an --output or --table that can't be written, before anything is measured."""
    for name in ("output", "table"):
        path: Path | None = getattr(options, name, None)
        if path is not None:
            check_writable(path)


def run(main: Callable[[], object]) -> None:
    """Run a script: what the caller can mend is told in a line, and Ctrl-C leaves no traceback."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
