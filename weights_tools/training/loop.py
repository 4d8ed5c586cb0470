"""The training loop: one process's work in a run."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from weights_tools.training.checkpoint import BEST, CHECKPOINT, LOG, Log, load_file, save_file
from weights_tools.training.config import TrainingConfig, ValidationConfig, expand
from weights_tools.training.data import Batch
from weights_tools.training.initial import (
    YOLOX_PREFIXES,
    TrainedModel,
    grid_queries,
    load_backbone_file,
    load_initial,
)
from weights_tools.training.loader import Batches, keys, load
from weights_tools.training.objective import Objective, total
from weights_tools.training.processes import Group, fill_gradients
from weights_tools.training.schedule import Clock, rate_factor
from weights_tools.training.transfer import load_start
from weights_tools.training.validation import Validation

_LOG_STEPS = 20
_MOST_BAD_STEPS = 20
#: Measurements by share of the schedule wait for so many times the time that the last one took.
_LEAST_TRAINING = 4.0


@dataclass(frozen=True)
class RunOptions:
    """What is chosen at each start of a run, unlike the configuration.

    Attributes:
        folder: Where checkpoint and log are.
        deadline: Unix time at which the schedule ends even if not all images were seen, or None.
        stop_after: Leave after this many steps of this start, as if told to stop (0: never).
        start: Checkpoint of another run whose averaged weights this one starts from, or None.
        listener: Called with every entry of the log, or None.
    """

    folder: Path
    deadline: float | None = None
    stop_after: int = 0
    start: Path | None = None
    listener: Callable[[Mapping[str, Any]], None] | None = None


def build_model(config: TrainingConfig) -> TrainedModel:
    """The model at the start of a run."""
    torch.manual_seed(config.seed)
    model = TrainedModel(config.model, config.frozen_norms)
    if config.query_grid:
        grid_queries(model)
    if config.backbone:
        load_backbone_file(model, expand(config.backbone))
    if config.init:
        load_start(model, expand(config.init), config.classes)
    return model


def parameter_groups(model: nn.Module, objective: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Groups by learning rate and weight decay; norms, biases and embeddings are not decayed."""
    rate, decay = config.optimiser.lr, config.optimiser.weight_decay
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for owner in (model, objective):
        for name, parameter in owner.named_parameters():
            if not parameter.requires_grad:
                continue
            slow = owner is model and name.startswith("backbone.features.")
            slow = slow or (owner is model and name.startswith(("backbone.tpm.", "backbone.smb")))
            slow = slow or (owner is model and name.startswith(YOLOX_PREFIXES))
            slow = slow and not name.startswith(config.fast)
            plain = parameter.ndim < 2 or name.startswith("instance_decoder.query")
            key = (rate * config.optimiser.backbone_lr if slow else rate, 0.0 if plain else decay)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": lr, "peak": lr, "weight_decay": weight}
        for (lr, weight), parameters in groups.items()
    ]


class Run:
    """State of a run in one process."""

    def __init__(self, config: TrainingConfig, options: RunOptions, group: Group) -> None:
        self.config, self.options, self.group = config, options, group
        self.device = group.device
        self.model: TrainedModel = build_model(config).to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        objective = Objective(self.model, config.losses, config.auxiliary, config.temporal)
        self.objective = objective.to(self.device)
        if options.start is not None:
            self._start_from(options.start)
        self.average: TrainedModel = copy.deepcopy(self.model).requires_grad_(False)
        self.average._ops = type(self.model._ops)(self.average, *_prefixes(config))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(config.frozen))
        groups = parameter_groups(self.model, self.objective, config)
        self.parameters = [p for g in groups for p in g["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=config.optimiser.lr, fused=True)
        self.step, self.images, self.best, self.stale = 0, 0, 0.0, 0
        self.done = 0.0
        self._restore()
        self.clock = Clock(config.images, time.time(), options.deadline, self.done)
        self.log = Log(options.folder / LOG if group.rank == 0 else None, options.listener)
        self.stop = False
        self.mean = torch.tensor(config.data.mean, device=self.device).reshape(1, 3, 1, 1)
        self.std = torch.tensor(config.data.std, device=self.device).reshape(1, 3, 1, 1)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "format": 1,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": {name: dict(self.optimiser.state[p]) for name, p in self._trained()},
            "step": self.step,
            "images": self.images,
            "best": self.best,
            "stale": self.stale,
            "progress": self.clock.progress(self.images),
            "config": dataclasses.asdict(self.config),
        }

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        """Trained parameters by unique name."""
        owners = (("model", self.model), ("objective", self.objective))
        named = [(f"{owner}.{name}", p) for owner, module in owners for name, p in module.named_parameters()]
        return [(name, p) for name, p in named if p.requires_grad]

    def _start_from(self, path: Path) -> None:
        """Take the averaged weights and the training heads of another run."""
        state = load_file(path, self.device)
        assert state is not None
        load_initial(self.model, state["average"])
        fitting = {k: v for k, v in state["objective"].items() if k in self.objective.state_dict()}
        self.objective.load_state_dict(fitting, strict=False)

    def _restore(self) -> None:
        state = load_file(self.options.folder / CHECKPOINT, self.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.objective.load_state_dict(state["objective"])
        # by name, so that what is trained, its rates and its decay may have changed
        for name, parameter in self._trained():
            if name in state["optimiser"]:
                self.optimiser.state[parameter] = dict(state["optimiser"][name])
        self.step, self.images, self.best = state["step"], state["images"], state["best"]
        self.stale = state.get("stale", 0)
        if self.options.deadline is not None:
            # what the last deadline had already annealed stays so
            self.done = state["progress"]

    @property
    def exhausted(self) -> bool:
        """Whether AP has not risen for as long as the configuration waits."""
        patience = self.config.validation.patience if self.config.validation else 0
        return 0 < patience <= self.stale

    def train_step(self, batch: Batch, progress: float) -> dict[str, float]:
        """One update; returns measures averaged over the processes."""
        torch.manual_seed((self.config.seed * 1_000_003 + self.step) * 1009 + self.group.rank)
        self.model.train()
        objects = max(self.group.mean(float(sum(len(labels) for labels in batch.labels))), 1.0)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        batch = dataclasses.replace(batch, images=images)
        with torch.autocast(self.device.type, torch.bfloat16):
            losses, measures = self.objective(self.model, batch, objects)
        loss = total(losses)
        loss.backward()
        names = sorted(losses)
        values = [losses[name].detach() for name in names] + [torch.tensor(v) for v in measures.values()]
        report = torch.stack([v.float().to(self.device) for v in values])
        buffers = [b for b in self.model.buffers() if b.is_floating_point()]
        self.group.average([*fill_gradients(self.parameters), *buffers, report])
        norm = self._update(progress)
        result = dict(zip([*names, *measures], report.tolist(), strict=True))
        result["iou"] = result["iou"] / max(result["matched"], 1e-6)
        result["loss"] = sum(result[name] for name in names)
        result["gradient"] = norm
        return result

    def _update(self, progress: float) -> float:
        """AdamW with the scheduled rate and the running average; a broken gradient changes nothing."""
        limit = self.config.optimiser.clip or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        if math.isfinite(norm):
            factor = rate_factor(progress, self.step, self.config.optimiser)
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * factor
            self.optimiser.step()
        self.optimiser.zero_grad()
        self._follow()
        return norm

    @torch.no_grad()
    def _follow(self) -> None:
        """Exponential average of weights and batch-norm statistics; shorter while the run is young."""
        weight = 1.0 - min(self.config.optimiser.ema, (1.0 + self.step) / (10.0 + self.step))
        ours = [t for t in self.average.state_dict().values() if t.is_floating_point()]
        theirs = [t for t in self.model.state_dict().values() if t.is_floating_point()]
        torch._foreach_lerp_(ours, theirs, weight)

    def save(self) -> None:
        """Checkpoint by process 0."""
        if self.group.rank == 0:
            save_file(self.options.folder / CHECKPOINT, self.state())


def _prefixes(config: TrainingConfig) -> tuple[tuple[str, ...], ...]:
    return (config.frozen_norms,) if config.frozen_norms else ()


def train(config: TrainingConfig, options: RunOptions, group: Group) -> bool:
    """Train until the schedule ends or the process is told to stop (SIGTERM, SIGINT); resumes by itself.

    Returns:
        Whether the schedule has ended.

    Raises:
        ValueError: if the run to start from has no checkpoint.
        RuntimeError: if the gradient stays broken (not finite).
    """
    if options.start is not None and not options.start.exists():
        raise ValueError(f"{options.start} does not exist")
    options.folder.mkdir(parents=True, exist_ok=True)
    if group.rank > 0:
        group.wait()  # process 0 fills the cache of images
    data = Batches(config, group.device)
    if group.rank == 0:
        group.wait()
    run = Run(config, options, group)
    validation = None
    if config.validation is not None:
        v = config.validation
        folder = expand(v.images)
        validation = Validation(expand(v.annotations), folder, config.classes, v.size, v.limit)
    order = keys(config, group, run.clock, run.step, run.images)
    # closed however the run ends: workers that leave signals alone outlive a process that does not end them
    with _StopOnSignal(run), contextlib.closing(load(data, order, config.workers, run.device)) as batches:
        return _loop(run, batches, _Measurements(run, validation))


def _loop(run: Run, batches: Iterator[Batch], measurements: _Measurements) -> bool:
    config, group = run.config, run.group
    book, begun, bad = _Book(run), run.step, 0
    saved = time.time()
    while True:
        enough = run.options.stop_after > 0 and run.step - begun >= run.options.stop_after
        now = run.clock.progress(run.images)
        asked = [now, run.stop or enough, _older(saved, config), measurements.due(now)]
        progress, stop, save, measure = group.from_first([float(value) for value in asked])
        if save:
            run.save()
            saved = time.time()
        if measure:
            measurements.take(progress)
            book.restart()
        if stop or progress >= 1.0 or run.exhausted:
            break
        batch = next(batches)
        result = run.train_step(batch, progress)
        bad = 0 if math.isfinite(result["gradient"]) else bad + 1
        if bad >= _MOST_BAD_STEPS:
            raise RuntimeError(
                f"the gradient was not finite in {bad} steps in a row, last in step {run.step}"
            )
        run.step += 1
        run.images += config.batch * group.size
        book.enter(result, int(batch.images.shape[-1]), progress)
    run.save()
    if progress >= 1.0 and measurements.step != run.step:
        measurements.take(progress)
    group.wait()
    return progress >= 1.0 or run.exhausted


class _Measurements:
    """When AP is measured, and its measuring; nothing without a validation set.

    Attributes:
        step: That of the last measurement of this start, -1 before the first.
    """

    def __init__(self, run: Run, validation: Validation | None) -> None:
        self._run, self._validation = run, validation
        self._time, self._took = time.time(), 0.0
        self._progress, self.step = run.clock.progress(run.images), -1

    def due(self, progress: float) -> bool:
        """Whether it is time for one, by the clock or by the share of the schedule."""
        config = self._run.config.validation
        if self._validation is None or config is None:
            return False
        by_share = 0 < config.every_share <= progress - self._progress
        rested = time.time() - self._time >= _LEAST_TRAINING * self._took
        return (by_share and rested) or _older(self._time, config)

    def take(self, progress: float) -> None:
        """Measure."""
        if self._validation is None:
            return
        before = time.time()
        _validate(self._run, self._validation)
        self._time, self._progress, self.step = time.time(), progress, self._run.step
        self._took = self._time - before


def _older(moment: float, config: TrainingConfig | ValidationConfig | None) -> bool:
    """Whether it is time for the next checkpoint or validation."""
    if isinstance(config, TrainingConfig):
        return time.time() - moment > 60 * config.checkpoint_minutes
    return config is not None and time.time() - moment > 60 * config.every_minutes


class _Book:
    """Means over some steps for the log."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.restart()

    def restart(self) -> None:
        """Forget steps that are not yet in the log, and the time since."""
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._since, self._images, self._steps = time.time(), self._run.images, 0

    def enter(self, result: dict[str, float], size: int, progress: float) -> None:
        """Note a step; some names occur in some steps only (clips)."""
        run = self._run
        self._steps += 1
        for name, value in result.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        if self._steps < _LOG_STEPS:
            return
        now = time.time()
        speed = (run.images - self._images) / max(now - self._since, 1e-9)
        rate = max(group["lr"] for group in run.optimiser.param_groups)
        entry = {"step": run.step, "images": run.images, "time": now, "progress": progress, "size": size}
        means = {name: value / self._counts[name] for name, value in self._sums.items()}
        run.log.write({**entry, "lr": rate, "speed": speed, **means})
        self.restart()


def _validate(run: Run, validation: Validation) -> None:
    """AP of the averaged weights; the best ones are kept beside the checkpoint."""
    table = validation.run(run.average, run.mean, run.std, run.group)
    short = {name: round(value, 3) for name, value in table.items()}
    now = {"time": time.time(), "progress": run.clock.progress(run.images)}
    run.log.write({"step": run.step, "images": run.images, **now, "val": short})
    run.stale += 1
    if table["AP"] > run.best:
        run.best, run.stale = table["AP"], 0
        if run.group.rank == 0:
            state = {
                "average": run.average.state_dict(),
                "step": run.step,
                "images": run.images,
                "val": short,
            }
            save_file(run.options.folder / BEST, state)


class _StopOnSignal:
    """Let SIGTERM and SIGINT end the run after the current step, with a checkpoint."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._old: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._run.stop = True

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._old[number] = signal.signal(number, self._note)

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
