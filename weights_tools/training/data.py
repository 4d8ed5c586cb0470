"""Batches for training: which image comes when and how augmented, whatever the number of processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weights_tools.training.augment import AugmentConfig, Frame, Sample, augment
from weights_tools.training.source import Instance, Source


@dataclass(frozen=True)
class Batch:
    """Training images with their targets.

    Attributes:
        images: float32 (B, 3, S, S), normalised.
        masks: B tensors float32 (n_b, S/4, S/4).
        labels: B tensors int64 (n_b,).
        ignore: float32 (B, S/4, S/4).
        negative: float32 (B, classes), weight of the absence of each class.
        ids: B tensors int64 (n_b,), identities within a clip.
        exact: B tensors bool (n_b,), whether the mask is known; if not, it is the object's box.
        weights: B tensors float32 (n_b,), how sure the object is.
        sharp: The images before motion blur, float32 (B, 3, S, S); None where none is blurred.
        clips: Number of clips; if not 0, the first half of the batch holds their first frames, the second
            half their second frames.
    """

    images: Tensor
    masks: list[Tensor]
    labels: list[Tensor]
    ignore: Tensor
    negative: Tensor
    ids: list[Tensor]
    exact: list[Tensor]
    weights: list[Tensor]
    sharp: Tensor | None = None
    clips: int = 0

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(
            self.images.to(device, non_blocking=True),
            [m.to(device, non_blocking=True) for m in self.masks],
            [m.to(device, non_blocking=True) for m in self.labels],
            self.ignore.to(device, non_blocking=True),
            self.negative.to(device, non_blocking=True),
            [m.to(device, non_blocking=True) for m in self.ids],
            [m.to(device, non_blocking=True) for m in self.exact],
            [m.to(device, non_blocking=True) for m in self.weights],
            None if self.sharp is None else self.sharp.to(device, non_blocking=True),
            self.clips,
        )


@dataclass(frozen=True)
class DataConfig:
    """How images are drawn.

    Attributes:
        repeat: Set name to how often its images come per epoch (1 if not named; fractions by chance).
        negative: Set name to the weight of absent objects, where labels are less complete than they say.
        mean, std: Normalisation of RGB values of 0 to 255.
    """

    repeat: Mapping[str, float] = field(default_factory=dict)
    negative: Mapping[str, float] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)


class TrainingSet:
    """Sample number k of an endless stream; the same k always gives the same sample.

    Epochs are permutations of the images, those of repeated sets several times; everything random follows
    from ``seed`` and k, so that resuming, processes and workers change nothing.
    """

    def __init__(
        self, source: Source, config: DataConfig, seed: int, repeat: Sequence[float] | None = None
    ) -> None:
        self.source = source
        self.config = config
        self.seed = seed
        self._repeat = np.array([config.repeat.get(info.source, 1.0) for info in source.infos])
        if repeat is not None:
            self._repeat = self._repeat * np.asarray(repeat)
        if not len(self._repeat) or self._repeat.max() <= 0:
            raise ValueError("the training set has no images")
        self._epoch_length = max(1, round(float(self._repeat.sum())))
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))
        self._donors = self._find_donors()

    def _find_donors(self) -> list[list[int]]:
        """Images with at least one object of a class, per class."""
        donors: list[list[int]] = [[] for _ in self.source.classes]
        for index in range(len(self.source.infos)):
            for label in self.source.donors(index):
                donors[label].append(index)
        return donors

    def index(self, number: int) -> int:
        """Which image sample ``number`` shows."""
        epoch, position = divmod(number, self._epoch_length)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng((self.seed, 1, epoch))
            counts = np.floor(self._repeat + rng.random(len(self._repeat))).astype(np.int64)
            order = rng.permutation(np.repeat(np.arange(len(counts)), counts))
            self._epoch = (epoch, np.resize(order, self._epoch_length))
        return int(self._epoch[1][position])

    def negative(self, index: int) -> NDArray[np.float32]:
        """Weight of the absence of each class in an image; 0 where not every instance is marked."""
        info = self.source.infos[index]
        weight = self.config.negative.get(info.source, 1.0)
        return np.array([weight if known else 0.0 for known in info.labelled], np.float32)

    def donor(self, rng: np.random.Generator, label: int | None) -> tuple[NDArray[np.uint8], Instance] | None:
        """An object to paste: whole, of at least 30x30 pixels; classes come equally often."""
        known = [i for i, images in enumerate(self._donors) if images]
        if not known:
            return None
        if label is None:
            label = known[int(rng.integers(len(known)))]
        for _ in range(6):
            index = self._donors[label][int(rng.integers(len(self._donors[label])))]
            pixels = self.source.image(index)
            items = [
                x for x in self.source.instances(index) if x.label == label and x.exact and _whole(x, pixels)
            ]
            if items:
                return pixels, items[int(rng.integers(len(items)))]
        return None

    def frame(self, index: int) -> Frame:
        """An image with its objects; ids are their positions."""
        instances = self.source.instances(index)
        return Frame(self.source.image(index), instances, list(range(len(instances))))

    def sample(self, number: int, size: int) -> Sample:
        """Sample ``number`` as a square of ``size`` pixels."""
        index = self.index(number)
        rng = np.random.default_rng((self.seed, 2, number))
        strength = self.config.augment
        return augment([self.frame(index)], self.negative(index), size, rng, strength, self.donor)[0]

    def batch(self, numbers: Sequence[int], size: int) -> Batch:
        """Several samples of one size."""
        return collate([self.sample(number, size) for number in numbers], self.config.mean, self.config.std)


def _whole(item: Instance, pixels: NDArray[np.uint8]) -> bool:
    """Large enough to paste and not cut by more than one border of its image."""
    height, width = item.mask.shape
    borders = [item.x < 0, item.y < 0, item.x + width > pixels.shape[1], item.y + height > pixels.shape[0]]
    return height * width >= 900 and sum(borders) <= 1


def collate(samples: Sequence[Sample], mean: Sequence[float], std: Sequence[float], clips: int = 0) -> Batch:
    """Normalise and stack samples of one size."""
    shift, scale = (torch.tensor(v, dtype=torch.float32).reshape(1, 3, 1, 1) for v in (mean, std))

    def normalised(images: list[NDArray[np.uint8]]) -> Tensor:
        return (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() - shift) / scale

    blurred = any(sample.image is not sample.sharp for sample in samples)
    return Batch(
        normalised([sample.image for sample in samples]),
        [torch.from_numpy(sample.masks) for sample in samples],
        [torch.from_numpy(sample.labels) for sample in samples],
        torch.from_numpy(np.stack([sample.ignore for sample in samples])),
        torch.from_numpy(np.stack([sample.negative for sample in samples])),
        [torch.from_numpy(sample.ids) for sample in samples],
        [torch.from_numpy(sample.exact) for sample in samples],
        [torch.from_numpy(sample.weights) for sample in samples],
        normalised([sample.sharp for sample in samples]) if blurred else None,
        clips,
    )


def data_config(values: Mapping[str, object]) -> DataConfig:
    """Read the ``[data]`` table of a configuration file.

    Raises:
        ValueError: for unknown keys.
    """
    known = {f.name for f in dataclasses.fields(DataConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown keys {unknown} in [data]; known are {sorted(known)}")
    given = dict(values)
    strength = given.pop("augment", {})
    assert isinstance(strength, Mapping)
    fields = {f.name for f in dataclasses.fields(AugmentConfig)}
    wrong = sorted(set(strength) - fields)
    if wrong:
        raise ValueError(f"unknown keys {wrong} in [data.augment]; known are {sorted(fields)}")
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in strength.items()}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return DataConfig(augment=AugmentConfig(**tuples), **given)  # type: ignore[arg-type]
