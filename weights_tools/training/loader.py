"""Batches in the order of a run, made in the training process or by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import torch

from weights_tools.training.archive import ArchiveSource
from weights_tools.training.config import SetConfig, TrainingConfig, expand
from weights_tools.training.data import Batch, TrainingSet
from weights_tools.training.device_batches import DeviceBatches
from weights_tools.training.processes import Group
from weights_tools.training.schedule import Clock, crop_size
from weights_tools.training.source import JoinedSource, Source, open_source
from weights_tools.training.temporal import ClipSet, VideoSource


class Key(NamedTuple):
    """What a process trains on in a step: images or clips from sample ``first`` on, at a crop size."""

    first: int
    size: int
    clips: bool


class Batches(torch.utils.data.Dataset[Batch]):
    """Batches by :class:`Key`; augmented on ``device`` if the configuration says so."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        source, repeat = open_sets(config)
        self._batch = config.batch
        self._on_device = None
        if config.augment == "device":
            self._on_device = DeviceBatches(source, config.data, config.seed, device, repeat)
            return
        self._stills = TrainingSet(source, config.data, config.seed, repeat)
        videos = None
        temporal = config.temporal
        if temporal.annotations:
            folder = expand(temporal.images)
            videos = VideoSource(expand(temporal.annotations), folder, config.classes)
        self._clips = ClipSet(self._stills, videos, temporal)

    def __getitem__(self, key: Key) -> Batch:
        if self._on_device is not None:
            return self._on_device.batch(range(key.first, key.first + self._batch), key.size)
        if key.clips:
            return self._clips.batch(range(key.first, key.first + self._batch // 2), key.size)
        return self._stills.batch(range(key.first, key.first + self._batch), key.size)


def open_sets(config: TrainingConfig) -> tuple[JoinedSource, list[float]]:
    """The images of all sets of a configuration, and how often its set's ``repeat`` lets each come."""
    sources = [_open_set(config, part) for part in config.train]
    repeat = [part.repeat for part, source in zip(config.train, sources, strict=True) for _ in source.infos]
    return JoinedSource(sources), repeat


def _open_set(config: TrainingConfig, part: SetConfig) -> Source:
    annotations = expand(part.annotations)
    if annotations.suffix == ".npz":
        return ArchiveSource(annotations, config.classes)
    if not part.images:
        raise ValueError(f"train: {annotations} needs images, the folder of its photographs")
    cache = expand(config.cache) if config.cache else None
    pseudo = expand(part.pseudo) if part.pseudo else None
    limit = config.cache_gib * 2**30
    return open_source(annotations, expand(part.images), config.classes, cache, pseudo, limit)


def keys(config: TrainingConfig, group: Group, clock: Clock, step: int, images: int) -> Iterator[Key]:
    """What this process does in each step from a position on.

    With workers the progress is that of planning, a few batches ahead, and must not talk to other processes:
    there the sizes follow the share of images only.
    """
    while True:
        if config.workers:
            progress = images / clock.images
        else:
            (progress,) = group.from_first([clock.progress(images)])
        size = crop_size(progress, step, config.phases, config.seed)
        draw = np.random.default_rng((config.seed, 4, step)).random()
        yield Key(images + group.rank * config.batch, size, bool(draw < config.temporal.share))
        step += 1
        images += config.batch * group.size


def _leave_signals(worker: int) -> None:
    """A signal to the whole group ends the run after its step; until then it needs its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def load(
    data: Batches, order: Iterator[Key], workers: int, device: torch.device
) -> Generator[Batch, None, None]:
    """Batches on the device, in order; closing it ends the workers."""
    if workers == 0:
        for key in order:
            yield data[key].to(device)
        return
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_signals,
    )
    for batch in loader:
        yield batch.to(device)
