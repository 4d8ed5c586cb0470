"""Batches that are augmented where the model trains: photographs stay in the device's memory (ours).

A GPU waits for processors that scale and paste pictures. Here a batch is a stack of layers, each a photograph
or one object of it in its place, that the device samples and lays over one another: the first is the sample's
photograph, further ones are pasted objects. Placements, and all that is random, follow from seed and sample
number as in :mod:`~weights_tools.training.data`, without the touching neighbours of the same photograph and
the antialiased scaling.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weights_tools.training.augment import (
    MIN_SHARE,
    MIN_VISIBLE,
    PADDING,
    TARGET_STRIDE,
    Placement,
    color_matrix,
    place,
)
from weights_tools.training.data import Batch, DataConfig, TrainingSet
from weights_tools.training.source import Instance, Source

#: Masks that are reduced at once.
_CHUNK = 64


@dataclass(frozen=True)
class _Layer:
    """A photograph, or with ``part`` (from 1) one object of it, in its place on a sample."""

    sample: int
    image: int
    placement: Placement
    part: int = 0


class DevicePhotos:
    """Decoded photographs and maps of their objects in a device's memory.

    Attributes:
        sizes: (height, width) of each.
        items: Objects of each; those with known masks, crowds too, are numbered from 1 in the maps, where
            smaller ones hide larger ones.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        with ThreadPoolExecutor() as threads:
            pixels = list(threads.map(source.image, range(len(source.infos))))
        self.sizes = [(p.shape[0], p.shape[1]) for p in pixels]
        self.items = [source.instances(i)[:250] for i in range(len(pixels))]
        side = max(max(size) for size in self.sizes)
        self._pixels = torch.full((len(pixels), 3, side, side), PADDING, dtype=torch.uint8, device=device)
        self._parts = torch.zeros((len(pixels), side, side), dtype=torch.uint8, device=device)
        for index, image in enumerate(pixels):
            height, width = image.shape[:2]
            self._pixels[index, :, :height, :width] = torch.tensor(image).permute(2, 0, 1)
            self._parts[index, :height, :width] = torch.from_numpy(
                _part_map(self.items[index], self.sizes[index])
            )

    def sample(self, layers: Sequence[_Layer], size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Layers on squares of ``size`` pixels.

        Returns:
            Colors float32 (n, 3, size, size) of 0 to 255, alpha float32 (n, size, size), and the numbers of
            objects uint8 (n, size, size), 0 where there is none.
        """
        device = self._pixels.device
        images = torch.tensor([layer.image for layer in layers], device=device)
        where = self._grid(layers, size)
        colors = F.grid_sample(
            self._pixels[images].float(), where, mode="bilinear", padding_mode="border", align_corners=False
        )
        parts = self._parts[images][:, None].float()
        wanted = torch.tensor([layer.part for layer in layers], device=device)[:, None, None]
        numbers = F.grid_sample(parts, where, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0]
        one = (parts[:, 0] == wanted).float()[:, None]
        object_alpha = F.grid_sample(one, where, mode="bilinear", padding_mode="zeros", align_corners=False)
        inside = self._inside(layers, where)
        alpha = torch.where(wanted == 0, inside, object_alpha[:, 0])
        numbers = torch.where((wanted == 0) | (numbers == wanted), numbers * inside, 0.0)
        return colors, alpha, numbers.to(torch.uint8)

    def _grid(self, layers: Sequence[_Layer], size: int) -> Tensor:
        """Where each output pixel lies in the stored squares, as grid_sample wants it: (n, size, size, 2)."""
        side = self._pixels.shape[-1]
        places = torch.tensor(
            [(p.scale_x, p.shift_x, p.scale_y, p.shift_y) for p in (layer.placement for layer in layers)],
            device=self._pixels.device,
        )
        middles = torch.arange(size, device=self._pixels.device) + 0.5
        x = (middles[None] - places[:, 1:2]) / places[:, 0:1] * (2.0 / side) - 1.0
        y = (middles[None] - places[:, 3:4]) / places[:, 2:3] * (2.0 / side) - 1.0
        return torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1)

    def _inside(self, layers: Sequence[_Layer], where: Tensor) -> Tensor:
        """1 where a photograph is, 0 beyond its borders."""
        side = self._pixels.shape[-1]
        sizes = torch.tensor([self.sizes[layer.image] for layer in layers], device=where.device)
        limit = (sizes * (2.0 / side) - 1.0)[:, None, None]
        x, y = where[..., 0], where[..., 1]
        return ((x > -1) & (y > -1) & (x < limit[..., 1]) & (y < limit[..., 0])).float()


def _part_map(items: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Numbers (from 1) of the objects with known masks, smaller ones over larger ones."""
    out = np.zeros(size, np.uint8)
    for number in sorted(range(len(items)), key=lambda i: -items[i].mask.size):
        item = items[number]
        if not item.exact:
            continue
        y0, x0 = max(item.y, 0), max(item.x, 0)
        mask = item.mask[y0 - item.y :, x0 - item.x :]
        area = out[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]]
        area[mask[: area.shape[0], : area.shape[1]] > 127] = number + 1
    return out


@dataclass(frozen=True)
class _Object:
    """An object on a sample: its number there (layer * 256 + part) and what it is."""

    sample: int
    number: int
    item: Instance
    placement: Placement


class DeviceBatches:
    """Batches as :class:`~weights_tools.training.loader.Batches` gives them, made on a device.

    Args:
        source: Photographs, which are all decoded now.
        repeat: How often each image comes per epoch, times what ``config`` says of its set.
    """

    def __init__(
        self,
        source: Source,
        config: DataConfig,
        seed: int,
        device: torch.device,
        repeat: Sequence[float] | None = None,
    ) -> None:
        self._set = TrainingSet(source, config, seed, repeat)
        self._photos = DevicePhotos(source, device)
        self._config, self._seed, self._device = config, seed, device
        self._donors = [self._large_objects(label) for label in range(len(source.classes))]

    def _large_objects(self, label: int) -> list[tuple[int, int]]:
        """(image, number from 0) of the objects of a class that are worth pasting."""
        return [
            (i, k)
            for i, items in enumerate(self._photos.items)
            for k, x in enumerate(items)
            if x.label == label and x.exact and x.mask.size >= 900
        ]

    def batch(self, numbers: Sequence[int], size: int) -> Batch:
        """The samples of these numbers as squares of ``size`` pixels."""
        layers: list[_Layer] = []
        colors, flips, negative = [], [], []
        for sample, number in enumerate(numbers):
            rng = np.random.default_rng((self._seed, 2, number))
            index = self._set.index(number)
            layers += self._layers(sample, index, size, rng)
            colors.append(color_matrix(rng, self._config.augment.color_jitter))
            flips.append(bool(rng.random() < self._config.augment.flip))
            negative.append(self._set.negative(index))
        images, ids = self._compose(layers, len(numbers), size)
        objects = [
            found
            for i, layer in enumerate(layers)
            for found in _objects_of(layer, self._photos.items[layer.image], i)
        ]
        masks = self._masks(objects, ids, size)
        return self._collect(objects, masks, self._colored(images, colors), flips, negative)

    def _layers(self, sample: int, index: int, size: int, rng: np.random.Generator) -> list[_Layer]:
        height, width = self._photos.sizes[index]
        strength = self._config.augment
        placement = place(width, height, size, rng, strength)
        layers = [_Layer(sample, index, placement)]
        known = [label for label, found in enumerate(self._donors) if found]
        if not known or rng.random() >= strength.paste:
            return layers
        for _ in range(int(rng.integers(1, strength.paste_most + 1))):
            label = known[int(rng.integers(len(known)))]
            image, number = self._donors[label][int(rng.integers(len(self._donors[label])))]
            item = self._photos.items[image][number]
            target = size * float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))
            scale = min(target / max(item.mask.shape), 1.5)
            x, y = rng.uniform(0.05, 0.95, 2) * size
            middle_x, middle_y = item.x + item.mask.shape[1] / 2, item.y + item.mask.shape[0] / 2
            there = Placement(scale, scale, float(x) - middle_x * scale, float(y) - middle_y * scale)
            layers.append(_Layer(sample, image, there, number + 1))
        return layers

    def _compose(self, layers: Sequence[_Layer], count: int, size: int) -> tuple[Tensor, Tensor]:
        """Layers over one another: colors (count, 3, size, size), and numbers int32 (count, size, size)."""
        images = torch.full((count, 3, size, size), float(PADDING), device=self._device)
        ids = torch.full((count, size, size), -1, dtype=torch.int32, device=self._device)
        depth = 0
        waiting = list(enumerate(layers))
        while waiting:
            # the next layer of every sample that has one, all at once
            now = {layer.sample: (i, layer) for i, layer in reversed(waiting)}
            chosen = [now[sample] for sample in sorted(now)]
            waiting = [pair for pair in waiting if pair not in chosen]
            colors, alpha, numbers = self._photos.sample([layer for _, layer in chosen], size)
            rows = torch.tensor([layer.sample for _, layer in chosen], device=self._device)
            order = torch.tensor([i for i, _ in chosen], dtype=torch.int32, device=self._device)
            named = order[:, None, None] * 256 + numbers.int()
            soft = alpha[:, None]
            images[rows] = colors * soft + images[rows] * (1.0 - soft)
            covers = alpha > 0.5 if depth else alpha > 0
            ids[rows] = torch.where(covers, named, ids[rows])
            depth += 1
        return images, ids

    def _masks(self, objects: Sequence[_Object], ids: Tensor, size: int) -> Tensor:
        """Visible share of each cell: float32 (n, size/4, size/4)."""
        cells = size // TARGET_STRIDE
        out = torch.zeros((len(objects), cells, cells), device=self._device)
        for start in range(0, len(objects), _CHUNK):
            some = objects[start : start + _CHUNK]
            rows = torch.tensor([x.sample for x in some], device=self._device)
            numbers = torch.tensor([x.number for x in some], dtype=torch.int32, device=self._device)
            here = ids[rows]
            same = here == numbers[:, None, None]
            unknown = [k for k, x in enumerate(some) if not x.item.exact]
            if unknown:
                # a box ends where another layer lies over it
                layer = numbers[unknown, None, None] // 256
                same[unknown] = (here[unknown] // 256 == layer) & self._boxes(
                    [some[k] for k in unknown], size
                )
            out[start : start + _CHUNK] = F.avg_pool2d(same.float()[:, None], TARGET_STRIDE)[:, 0]
        return out

    def _boxes(self, objects: Sequence[_Object], size: int) -> Tensor:
        """Whether pixels lie in objects' boxes: bool (n, size, size)."""
        edges = []
        for x in objects:
            height, width = x.item.mask.shape
            left, top = x.item.x + 1, x.item.y + 1
            p = x.placement
            edges.append(
                (
                    left * p.scale_x + p.shift_x,
                    (left + width - 2) * p.scale_x + p.shift_x,
                    top * p.scale_y + p.shift_y,
                    (top + height - 2) * p.scale_y + p.shift_y,
                )
            )
        e = torch.tensor(edges, device=self._device)[:, :, None]
        middles = torch.arange(size, device=self._device) + 0.5
        across = (middles >= e[:, 0]) & (middles < e[:, 1])
        down = (middles >= e[:, 2]) & (middles < e[:, 3])
        return down[:, :, None] & across[:, None, :]

    def _colored(self, images: Tensor, colors: Sequence[NDArray[np.float32]]) -> Tensor:
        """Color jitter, rounding to 8 bits and normalisation."""
        matrices = torch.tensor(np.stack(colors), device=self._device)  # (B, 4, 3)
        mixed = torch.einsum("bchw,bcd->bdhw", images, matrices[:, :3]) + matrices[:, 3, :, None, None]
        shift, scale = (
            torch.tensor(v, device=self._device).reshape(1, 3, 1, 1)
            for v in (self._config.mean, self._config.std)
        )
        return (mixed.clamp(0, 255).floor() - shift) / scale

    def _collect(
        self,
        objects: Sequence[_Object],
        masks: Tensor,
        images: Tensor,
        flips: Sequence[bool],
        negative: Sequence[NDArray[np.float32]],
    ) -> Batch:
        """Flip, and sort objects into those to learn and regions to ignore."""
        count, cells = len(flips), masks.shape[-1]
        areas = np.array([_area(x) for x in objects])
        sums = (masks.sum((1, 2)) * TARGET_STRIDE**2).cpu().numpy()
        most = masks.amax((1, 2)).cpu().numpy() if len(objects) else np.zeros(0)
        crowd = np.array([x.item.label < 0 for x in objects], bool)
        kept = ~crowd & (sums >= np.maximum(MIN_VISIBLE, MIN_SHARE * areas)) & (most > 0.5)
        samples = np.array([x.sample for x in objects], np.int64)
        ignore = torch.zeros((count, cells, cells), device=self._device)
        for k in np.flatnonzero(~kept & (sums > 0)):
            ignore[samples[k]] = torch.maximum(ignore[samples[k]], masks[k])
        turned = torch.tensor(flips, device=self._device)
        images = torch.where(turned[:, None, None, None], images.flip(-1), images)
        ignore = torch.where(turned[:, None, None], ignore.flip(-1), ignore)
        picked = [np.flatnonzero(kept & (samples == b)) for b in range(count)]

        def column(values: Sequence[float], dtype: torch.dtype) -> list[Tensor]:
            table = torch.tensor(values, dtype=dtype)
            return [table[torch.from_numpy(rows)].to(self._device) for rows in picked]

        shown = [masks[torch.from_numpy(rows).to(self._device)] for rows in picked]
        return Batch(
            images,
            [m.flip(-1) if flip else m for m, flip in zip(shown, flips, strict=True)],
            column([x.item.label for x in objects], torch.int64),
            ignore,
            torch.tensor(np.stack(negative), device=self._device),
            column([x.number for x in objects], torch.int64),
            column([x.item.exact for x in objects], torch.bool),
            column([x.item.weight for x in objects], torch.float32),
        )


def _objects_of(layer: _Layer, items: Sequence[Instance], position: int) -> list[_Object]:
    """What a layer shows: all objects of its photograph, or the pasted one."""
    numbers = range(len(items)) if layer.part == 0 else (layer.part - 1,)
    return [_Object(layer.sample, position * 256 + k + 1, items[k], layer.placement) for k in numbers]


def _area(x: _Object) -> float:
    """Pixels of an object on the sample, were it whole."""
    return float(np.count_nonzero(x.item.mask)) * x.placement.scale_x * x.placement.scale_y
