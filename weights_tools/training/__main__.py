"""Command line: ``python -m weights_tools.training CONFIG.toml --output FOLDER``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from weights_tools.training.config import load_config
from weights_tools.training.loop import RunOptions, train
from weights_tools.training.processes import run_processes
from weights_tools.training.schedule import next_time_of_day


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as a configuration file says; started again with the same output it resumes."""
    parser = argparse.ArgumentParser(prog="python -m weights_tools.training", description=main.__doc__)
    parser.add_argument("config", type=Path, help="TOML file")
    parser.add_argument("--output", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--processes", type=int, default=1, help="training processes on this machine")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--images", type=int, help="images in all, instead of the configuration's")
    parser.add_argument("--anneal-by", metavar="HH:MM", help="end the schedule by this time of day")
    parser.add_argument(
        "--stop-after", type=int, default=0, metavar="STEPS", help="leave after so many steps"
    )
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        if options.images is not None:
            config = dataclasses.replace(config, images=options.images)
        deadline = next_time_of_day(options.anneal_by) if options.anneal_by else None
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    run = RunOptions(options.output, deadline, options.stop_after)
    run_processes(functools.partial(train, config, run), options.processes, options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
