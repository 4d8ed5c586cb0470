"""Stages of a training, one after the other: each starts from the averaged weights of the one before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from weights_tools.training.checkpoint import CHECKPOINT
from weights_tools.training.config import TrainingConfig
from weights_tools.training.loop import RunOptions, train
from weights_tools.training.processes import Group


def stage_folder(output: Path, number: int, count: int) -> Path:
    """Folder of stage ``number`` (from 1) of ``count``: a subfolder of its number, or the whole if one."""
    return output if count == 1 else output / str(number)


def train_stages(
    stages: Sequence[TrainingConfig], options: RunOptions, only: int | None, group: Group
) -> None:
    """Train one stage, or all that are not done; ``options.folder`` is that of all.

    A stage is done when the next one has a checkpoint. A stage that is told to stop ends them all.

    Args:
        only: Number (from 1) of the one stage to train, or None.

    Raises:
        ValueError: if the stage before ``only`` was not trained.
        RuntimeError: if the gradient stays broken (not finite).
    """
    folders = [stage_folder(options.folder, i + 1, len(stages)) for i in range(len(stages))]
    begun = [i for i, folder in enumerate(folders) if (folder / CHECKPOINT).exists()]
    group.wait()  # all have looked before one writes
    chosen = range(max(begun, default=0), len(stages)) if only is None else (only - 1,)
    for i in chosen:
        start = folders[i - 1] / CHECKPOINT if i > 0 else None
        if not train(stages[i], dataclasses.replace(options, folder=folders[i], start=start), group):
            break
