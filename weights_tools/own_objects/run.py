"""A training on own objects, from a set of any form to weights, a page and the command to try them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobileinst import __version__
from mobileinst.datasets import Dataset, DatasetError, Picture, Problem
from mobileinst.datasets.parts import split
from mobileinst.io.files import Output
from mobileinst.weights import find_weights, load_weights
from weights_tools.own_objects.finish import Outcome, finish
from weights_tools.own_objects.page import class_rows, write_page
from weights_tools.own_objects.plan import Plan, choose, longest_side, training_config
from weights_tools.own_objects.prepare import Prepared, measurable, prepare, typical_extents, write_coco
from weights_tools.own_objects.progress import TrainingProgress
from weights_tools.training.checkpoint import CHECKPOINT, load_file
from weights_tools.training.config import TrainingConfig
from weights_tools.training.loop import RunOptions, train
from weights_tools.training.processes import Group, run_processes

_PLAN, _TRAIN, _VAL, _IMAGES = "plan.json", "train.json", "val.json", "images"


@dataclass(frozen=True)
class Choices:
    """What a user may choose.

    Attributes:
        output: Weights file to write; the page goes beside it.
        run: Folder of everything that a training keeps on its way.
        start: Weights file or name to start from, None for the default weights.
        size: Shorter side of the network's input, None to choose by the objects.
        minutes: Longest time of training, 0 for no limit, None to choose by the images.
        images: Images of the schedule, None to choose.
        seed: Of the split and everything drawn.
        device: "auto", "cpu" or "cuda".
        quiet: Say nothing but results.
        skip_bad: Leave images out that can't be read.
    """

    output: Path
    run: Path
    start: str | None = None
    size: int | None = None
    minutes: float | None = None
    images: int | None = None
    seed: int = 0
    device: str = "auto"
    quiet: bool = False
    skip_bad: bool = False

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.output.with_suffix(".html")


def train_own_objects(dataset: Dataset, choices: Choices, say: Callable[[str], None]) -> Outcome | None:
    """Train, or go on where an interrupted training was, and write weights and page.

    Returns:
        What was reached; None if it was told to stop (SIGINT, SIGTERM) and can be gone on with.

    Raises:
        DatasetError: if the set has too few images or no objects to measure on.
        ValueError: if the folder of the run holds another training. OSError: if a file can't be written.
    """
    start = find_weights(choices.start)
    plan = _plan(dataset, choices)
    _claim(dataset, choices, plan, start, say)
    annotations = (choices.run / _TRAIN, choices.run / _VAL)
    aspect = float(np.mean([max(p.size) / min(p.size) for p in dataset.pictures]))
    config = training_config(
        start, load_weights(start), dataset.classes, annotations, plan, aspect, choices.seed
    )
    done = _progress(choices.run)
    deadline = time.time() + 60 * plan.minutes * (1.0 - done) if plan.minutes else None
    _announce(plan, choices, done, say)
    progress = TrainingProgress(deadline, say, quiet=choices.quiet)
    ended: list[bool] = []

    def work(group: Group) -> None:
        options = RunOptions(choices.run, deadline, listener=progress)
        ended.append(train(config, options, group))

    try:
        run_processes(work, 1, choices.device)
    finally:
        progress.close()
    if not ended or not ended[0]:
        say("stopped: the same command goes on from here")
        return None
    return _results(config, choices, say)


def _plan(dataset: Dataset, choices: Choices) -> Plan:
    """The plan with what the user chose."""
    found = choose(typical_extents(dataset), len(dataset.pictures))
    return Plan(
        choices.size if choices.size is not None else found.size,
        choices.images if choices.images is not None else found.images,
        choices.minutes if choices.minutes is not None else found.minutes,
    )


def _claim(dataset: Dataset, choices: Choices, plan: Plan, start: Path, say: Callable[[str], None]) -> None:
    """Make the run's folder with the images, whole or not at all, or see that it is of the same training."""
    items = [(str(p.path), p.size, p.part, [(i.label, i.box) for i in p.items]) for p in dataset.pictures]
    known = {
        "classes": list(dataset.classes),
        "seed": choices.seed,
        "size": plan.size,
        "start": str(start.resolve()),
    }
    text = json.dumps([__version__, known, items])
    record = {**known, "set": hashlib.sha256(text.encode()).hexdigest()}
    place = choices.run / _PLAN
    if place.exists():
        if _read_record(place) != record:
            raise ValueError(
                f"{choices.run} holds a training of other images, annotations or options: remove it, or "
                "give another folder by --run"
            )
        return
    if choices.run.exists() and any(choices.run.iterdir()):
        raise ValueError(f"{choices.run} exists and holds no training: give another folder by --run")
    choices.run.mkdir(parents=True, exist_ok=True)
    try:
        _prepare_all(dataset, choices, plan, say)
        with Output(place) as output:
            json.dump(record, output.open())
    except BaseException:
        shutil.rmtree(choices.run, ignore_errors=True)
        raise


def _read_record(place: Path) -> Any:
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _prepare_all(dataset: Dataset, choices: Choices, plan: Plan, say: Callable[[str], None]) -> None:
    """Shrink the images, split the set and write both parts."""
    folder = choices.run / _IMAGES
    folder.mkdir()
    prepared: list[Prepared] = []
    kept: list[Picture] = []
    problems: list[Problem] = []
    for number, picture in enumerate(dataset.pictures):
        try:
            prepared.append(prepare(picture, folder / f"{number:06d}", longest_side(plan.size)))
            kept.append(picture)
        except (OSError, SyntaxError) as error:
            if not choices.skip_bad:
                raise DatasetError(f"{picture.path}: can't be read as an image: {error}") from None
            problems.append(Problem(str(picture.path), "can't be read as an image: left out", error=False))
    whole = dataclasses.replace(dataset, pictures=tuple(kept))
    train_part, val_part, doubtful = split(whole, [p.hash for p in prepared], choices.seed)
    problems += doubtful
    measured, known = measurable([prepared[i] for i in val_part])
    if not known:
        text = "no object with a mask: AP compares what is found with filled boxes"
        problems.append(Problem("val", text, error=False))
    for problem in problems:
        say(str(problem))
    source = f"{dataset.form}, {len(train_part)} images to train on"
    for file, part in ((_TRAIN, [prepared[i] for i in train_part]), (_VAL, measured)):
        write_coco(choices.run / file, dataset.classes, part, source)
    if not choices.quiet:
        say(f"{len(train_part)} images to train on, {len(val_part)} to measure on")


def _progress(run: Path) -> float:
    """How far a training is that is gone on with."""
    state = load_file(run / CHECKPOINT, torch.device("cpu"))
    return 0.0 if state is None else min(float(state["progress"]), 1.0)


def _announce(plan: Plan, choices: Choices, done: float, say: Callable[[str], None]) -> None:
    if choices.quiet:
        return
    limit = f", at most {plan.minutes:g} minutes" if plan.minutes else ""
    went_on = f", going on at {100 * done:.0f} %" if done else ""
    say(f"training at size {plan.size} on {plan.images} augmented images{limit}{went_on}")


def _results(config: TrainingConfig, choices: Choices, say: Callable[[str], None]) -> Outcome:
    """Weights, page and what is said at the end."""
    outcome = finish(config, choices.run, choices.output, "own objects, by mobileinst train")
    file = shlex.quote(str(choices.output))
    commands = (
        f"mobileinst track VIDEO --weights {file} --output out.mp4\nmobileinst segment IMAGE --weights {file}"
    )
    assert config.validation is not None
    write_page(choices.page, choices.output, Path(config.validation.annotations), outcome, commands)
    head = ("class", "objects", "AP", "AP50", "F1", "threshold")
    rows = [head, *class_rows(outcome)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        say(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    say(_of_int8(outcome))
    say(f"weights: {choices.output}\npictures: {choices.page}\ntry them:\n  {commands.splitlines()[0]}")
    return outcome


def _of_int8(outcome: Outcome) -> str:
    """A line about 8-bit integers."""
    if outcome.int8 is None:
        return "int8: ranges are in the weights; not measured, as the instruction set in use has no int8"
    text = f"int8: AP {100 * outcome.int8:.1f} instead of {100 * outcome.evaluation['AP']:.1f}"
    return text if outcome.ranges else f"{text}: too little, so that these weights run in float32 or halves"
