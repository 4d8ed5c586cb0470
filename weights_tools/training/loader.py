"""Batches in the order of a run, made in the training process or by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from weights_tools.training.config import TrainingConfig, expand
from weights_tools.training.data import Batch, TrainingSet
from weights_tools.training.processes import Group
from weights_tools.training.schedule import Clock, crop_size
from weights_tools.training.source import JoinedSource, open_source
from weights_tools.training.temporal import ClipSet, VideoSource


class Key(NamedTuple):
    """What a process trains on in a step: images or clips from sample ``first`` on, at a crop size."""

    first: int
    size: int
    clips: bool


class Batches(torch.utils.data.Dataset[Batch]):
    """Batches by :class:`Key`."""

    def __init__(self, config: TrainingConfig) -> None:
        cache = expand(config.cache) if config.cache else None
        sources = [
            open_source(
                expand(part.annotations),
                expand(part.images),
                config.classes,
                cache,
                expand(part.pseudo) if part.pseudo else None,
            )
            for part in config.train
        ]
        repeat = [
            part.repeat for part, source in zip(config.train, sources, strict=True) for _ in source.infos
        ]
        self._stills = TrainingSet(JoinedSource(sources), config.data, config.seed, repeat)
        videos = None
        temporal = config.temporal
        if temporal.annotations:
            folder = expand(temporal.images)
            videos = VideoSource(expand(temporal.annotations), folder, config.classes)
        self._clips = ClipSet(self._stills, videos, temporal)
        self._batch = config.batch

    def __getitem__(self, key: Key) -> Batch:
        if key.clips:
            return self._clips.batch(range(key.first, key.first + self._batch // 2), key.size)
        return self._stills.batch(range(key.first, key.first + self._batch), key.size)


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


def load(data: Batches, order: Iterator[Key], workers: int, device: torch.device) -> Iterator[Batch]:
    """Batches on the device, in order."""
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
    )
    for batch in loader:
        yield batch.to(device)
