"""Command line: ``python -m weights_tools.training CONFIG.toml --output FOLDER``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mobileinst.io.files import check_writable
from weights_tools.training.checkpoint import CHECKPOINT
from weights_tools.training.config import TrainingConfig, load_stages
from weights_tools.training.loop import RunOptions
from weights_tools.training.processes import run_processes
from weights_tools.training.schedule import next_time_of_day
from weights_tools.training.stages import stage_folder, train_stages


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as a configuration file says; started again with the same output it resumes."""
    parser = argparse.ArgumentParser(prog="python -m weights_tools.training", description=main.__doc__)
    parser.add_argument("config", type=Path, help="TOML file")
    parser.add_argument("--output", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--processes", type=int, default=1, help="training processes on this machine")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--images", type=int, help="images in all, instead of the configuration's")
    parser.add_argument("--stage", type=int, metavar="N", help="train only this one of the stages (from 1)")
    parser.add_argument("--anneal-by", metavar="HH:MM", help="end the schedule by this time of day")
    parser.add_argument("--minutes", type=float, help="end the schedule after so many minutes")
    parser.add_argument(
        "--stop-after", type=int, default=0, metavar="STEPS", help="leave after so many steps"
    )
    options = parser.parse_args(arguments)
    try:
        stages = _checked(load_stages(options.config), options)
        deadline = next_time_of_day(options.anneal_by) if options.anneal_by else None
        if options.minutes is not None:
            if not options.minutes > 0 or deadline is not None:
                raise ValueError("--minutes: expected a positive number, and no --anneal-by beside it")
            deadline = time.time() + 60 * options.minutes
        options.output.mkdir(parents=True, exist_ok=True)
        check_writable(options.output / CHECKPOINT)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    run = RunOptions(options.output, deadline, options.stop_after)
    work = functools.partial(train_stages, stages, run, options.stage)
    run_processes(work, options.processes, options.device)
    return 0


def _cut(options: argparse.Namespace) -> bool:
    """Whether the command line changes how long a stage is."""
    return options.images is not None or options.minutes is not None or bool(options.anneal_by)


def _checked(stages: tuple[TrainingConfig, ...], options: argparse.Namespace) -> tuple[TrainingConfig, ...]:
    """The stages with what the command line changes.

    Raises:
        ValueError: for a stage that there is not or that follows an untrained one, and for changes that do
            not say of which stage.
    """
    count = len(stages)
    if options.stage is not None and not 1 <= options.stage <= count:
        raise ValueError(f"--stage: expected 1 to {count}, got {options.stage}")
    if count > 1 and options.stage is None and _cut(options):
        raise ValueError(
            f"--images, --anneal-by and --minutes need --stage: the configuration has {count} stages"
        )
    if options.stage is not None and options.stage > 1:
        before = stage_folder(options.output, options.stage - 1, count) / CHECKPOINT
        if not before.exists():
            raise ValueError(
                f"--stage {options.stage}: the stage before is not trained, {before} does not exist"
            )
    if options.images is not None:
        stages = tuple(dataclasses.replace(stage, images=options.images) for stage in stages)
    return stages


if __name__ == "__main__":
    sys.exit(main())
