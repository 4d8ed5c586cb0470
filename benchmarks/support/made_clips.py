"""Clips with known tracks, made of annotated photographs: objects cut out and moved over a moving background.

Everything follows from the seed. Each kind of clip asks one question of a tracker:

- crossing: two objects of one class pass each other, the nearer one covers the other;
- occlusion: an object walks behind a pillar and is hidden for a while;
- exit: one of two objects leaves the frame for good;
- reentry: one of two objects leaves the frame and comes back;
- crowd: four objects wander and cover each other;
- fast: an object moves by an eighth of the frame's width per frame, there and back.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mobileinst.results import compress, encode

HEIGHT, WIDTH, FRAMES = 480, 640, 48
KINDS = ("crossing", "occlusion", "exit", "reentry", "crowd", "fast")
SUPERCATEGORIES = ("person", "vehicle", "animal")
#: An object of which fewer pixels are left is annotated as absent.
LEAST_PIXELS = 80

#: Centre of a layer (x, y) in pixels and its scale, by the number of the frame.
Path2D = Callable[[int], tuple[float, float, float]]


@dataclass(frozen=True)
class Sprite:
    """An object cut out of a photograph: RGBA, and its category (None: a mere obstacle)."""

    image: Image.Image
    category: int | None


@dataclass(frozen=True)
class Layer:
    sprite: Sprite
    path: Path2D


@dataclass(frozen=True)
class Clip:
    """Frames uint8 (48, 480, 640, 3) and the dataset of this one video in YouTube-VIS format."""

    name: str
    frames: NDArray[np.uint8]
    dataset: dict[str, Any]


class Photographs:
    """Whole, large objects of a COCO set, and photographs without any of the classes as backgrounds."""

    def __init__(self, folder: Path) -> None:
        data = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
        self._images = folder / "images"
        self._files = {image["id"]: image["file_name"] for image in data["images"]}
        supercategory = {c["id"]: c["supercategory"] for c in data["categories"]}
        sizes = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
        occupied = set()
        self.objects: dict[str, list[Mapping[str, Any]]] = {name: [] for name in SUPERCATEGORIES}
        for annotation in data["annotations"]:
            name = supercategory[annotation["category_id"]]
            if name not in SUPERCATEGORIES:
                continue
            occupied.add(annotation["image_id"])
            if not annotation["iscrowd"] and _is_whole(annotation, sizes[annotation["image_id"]]):
                self.objects[name].append(annotation)
        self.backgrounds = sorted(set(self._files) - occupied)

    def sprite(self, rng: np.random.Generator, supercategory: str, height: float) -> Sprite:
        """A random object, scaled to about `height` pixels and at most half the frame's width."""
        chosen = self.objects[supercategory][rng.integers(len(self.objects[supercategory]))]
        with Image.open(self._images / self._files[chosen["image_id"]]) as opened:
            photo = opened.convert("RGB")
        alpha = Image.new("L", photo.size)
        for polygon in chosen["segmentation"]:
            ImageDraw.Draw(alpha).polygon([float(v) for v in polygon], fill=255)
        x, y, w, h = chosen["bbox"]
        box = (math.floor(x) - 1, math.floor(y) - 1, math.ceil(x + w) + 1, math.ceil(y + h) + 1)
        photo.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.7)))
        cut = photo.crop(box)
        scale = min(height / cut.height, WIDTH / 2 / cut.width)
        if rng.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return Sprite(_scaled(cut, scale), SUPERCATEGORIES.index(supercategory) + 1)

    def background(self, rng: np.random.Generator) -> Image.Image:
        """A random background, a third larger than the frame so that the view can wander over it."""
        number = self.backgrounds[rng.integers(len(self.backgrounds))]
        with Image.open(self._images / self._files[number]) as opened:
            photo = opened.convert("RGB")
        return _scaled(photo, 1.35 * max(WIDTH / photo.width, HEIGHT / photo.height))

    def pillar(self, rng: np.random.Generator, width: int) -> Sprite:
        """An upright strip of some background, as high as the frame."""
        photo = self.background(rng)
        left = int(rng.integers(photo.width - width))
        strip = photo.crop((left, 0, left + width, HEIGHT)).convert("RGBA")
        return Sprite(strip, None)


def _is_whole(annotation: Mapping[str, Any], size: tuple[int, int]) -> bool:
    """Large, in one piece, and not cut by the edge of the photograph."""
    x, y, w, h = annotation["bbox"]
    inside = x >= 4 and y >= 4 and x + w <= size[0] - 4 and y + h <= size[1] - 4
    return inside and h >= 120 and w >= 50 and len(annotation["segmentation"]) == 1


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def make_clips(folder: Path, each: int = 3, seed: int = 0, kinds: Sequence[str] = KINDS) -> Iterator[Clip]:
    """`each` clips of each kind from the COCO set in `folder` (instances.json, images/), one at a time."""
    photographs = Photographs(folder)
    for kind, number in itertools.product(kinds, range(each)):
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        layers = _SCENES[kind](photographs, rng)
        video = 1000 * (KINDS.index(kind) + 1) + number
        yield _compose(f"{kind}-{number}", photographs.background(rng), layers, rng, video)


def _compose(
    name: str, background: Image.Image, layers: Sequence[Layer], rng: np.random.Generator, video: int
) -> Clip:
    """Paint the layers from back to front, and annotate what stays visible of each object."""
    pan = _wander(rng, (background.width - WIDTH) / 2, (background.height - HEIGHT) / 2)
    frames = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    visible = np.zeros((FRAMES, len(layers), HEIGHT, WIDTH), np.bool_)
    for t in range(FRAMES):
        x, y = pan(t)
        left, top = round((background.width - WIDTH) / 2 + x), round((background.height - HEIGHT) / 2 + y)
        canvas = background.crop((left, top, left + WIDTH, top + HEIGHT))
        for i, layer in enumerate(layers):
            cx, cy, scale = layer.path(t)
            image = _scaled(layer.sprite.image, scale) if scale != 1 else layer.sprite.image
            corner = round(cx - image.width / 2), round(cy - image.height / 2)
            canvas.paste(image, corner, image)
            solid = Image.new("L", (WIDTH, HEIGHT))
            solid.paste(image.getchannel("A"), corner)
            mask = np.asarray(solid) > 127
            visible[t, :i] &= ~mask
            visible[t, i] = mask
        frames[t] = np.asarray(canvas)
    noise = rng.normal(0, 2.0, frames.shape[1:]).astype(np.int16)
    for frame in frames:
        frame[:] = np.clip(frame + noise, 0, 255)
    return Clip(name, frames, _dataset(name, visible, [layer.sprite.category for layer in layers], video))


def _dataset(
    name: str, visible: NDArray[np.bool_], categories: Sequence[int | None], video: int
) -> dict[str, Any]:
    annotations = []
    for i, category in enumerate(categories):
        if category is None:
            continue
        areas = visible[:, i].sum((1, 2))
        runs = encode(visible[:, i])
        seen = areas >= LEAST_PIXELS
        annotations.append(
            {
                "id": 100 * video + i,
                "video_id": video,
                "category_id": category,
                "iscrowd": 0,
                "areas": [int(a) if s else None for a, s in zip(areas, seen, strict=True)],
                "segmentations": [
                    {"size": [HEIGHT, WIDTH], "counts": compress(r)} if s else None
                    for r, s in zip(runs, seen, strict=True)
                ],
            }
        )
    return {
        "videos": [{"id": video, "name": name, "height": HEIGHT, "width": WIDTH, "length": len(visible)}],
        "categories": [{"id": i + 1, "name": n, "supercategory": n} for i, n in enumerate(SUPERCATEGORIES)],
        "annotations": annotations,
    }


def _wander(rng: np.random.Generator, x: float, y: float) -> Callable[[int], tuple[float, float]]:
    """A slow, smooth way within -x..x and -y..y."""
    phase, speed = rng.uniform(0, 2 * math.pi, 4), rng.uniform(0.5, 1.5, 4) * 2 * math.pi / FRAMES

    def at(t: int) -> tuple[float, float]:
        a, b, c, d = np.sin(phase + speed * t)
        return x * 0.5 * float(a + b), y * 0.5 * float(c + d)

    return at


def _line(
    begin: float, end: float, y: float, rng: np.random.Generator, first: int = 0, last: int = FRAMES - 1
) -> Path2D:
    """From x = begin to x = end between two frames, bobbing a little, with a slowly changing size."""
    phase, grow = rng.uniform(0, 2 * math.pi), rng.uniform(-0.1, 0.1)

    def at(t: int) -> tuple[float, float, float]:
        way = min(max((t - first) / (last - first), 0.0), 1.0)
        bob = 6 * math.sin(phase + 0.5 * t)
        return begin + (end - begin) * way, y + bob, 1 + grow * math.sin(math.pi * t / FRAMES)

    return at


def _height(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.4, 0.65)) * HEIGHT


def _class(rng: np.random.Generator) -> str:
    return str(rng.choice(SUPERCATEGORIES))


def _crossing(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    name = _class(rng)
    one, other = (photographs.sprite(rng, name, _height(rng)) for _ in range(2))
    y = HEIGHT / 2
    return [
        Layer(one, _line(100, WIDTH - 100, y - 10, rng)),
        Layer(other, _line(WIDTH - 100, 100, y + 25, rng)),
    ]


def _occlusion(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    sprite = photographs.sprite(rng, _class(rng), 0.4 * HEIGHT)
    width = min(round(1.3 * sprite.image.width), 300)
    pillar = photographs.pillar(rng, width)
    half = sprite.image.width / 2
    return [
        Layer(sprite, _line(half, WIDTH - half, HEIGHT / 2, rng)),
        Layer(pillar, lambda t: (WIDTH / 2, HEIGHT / 2, 1.0)),
    ]


def _exit(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    stays, leaves = (photographs.sprite(rng, _class(rng), _height(rng)) for _ in range(2))
    away = WIDTH + leaves.image.width
    return [
        Layer(stays, _line(170, 210, HEIGHT / 2, rng)),
        Layer(leaves, _line(420, away, HEIGHT / 2 + 20, rng, last=FRAMES * 2 // 3)),
    ]


def _reentry(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    stays, leaves = (photographs.sprite(rng, _class(rng), _height(rng)) for _ in range(2))
    away = WIDTH + 0.6 * leaves.image.width
    out = _line(430, away, HEIGHT / 2 + 20, rng, 0, 16)
    back = _line(away, 430, HEIGHT / 2 + 20, rng, 28, FRAMES - 1)
    return [
        Layer(stays, _line(170, 210, HEIGHT / 2, rng)),
        Layer(leaves, lambda t: out(t) if t < 22 else back(t)),
    ]


def _crowd(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    layers = []
    for i in range(4):
        sprite = photographs.sprite(rng, _class(rng), 0.8 * _height(rng))
        way = _wander(rng, 200, 40)

        def path(
            t: int, way: Callable[[int], tuple[float, float]] = way, i: int = i
        ) -> tuple[float, float, float]:
            x, y = way(t)
            return WIDTH / 2 + x + 60 * (i - 1.5), HEIGHT / 2 + y + 20 * i - 30, 1.0

        layers.append(Layer(sprite, path))
    return layers


def _fast(photographs: Photographs, rng: np.random.Generator) -> list[Layer]:
    sprite = photographs.sprite(rng, _class(rng), _height(rng))
    half = sprite.image.width / 2
    span = WIDTH - 2 * half
    step = WIDTH / 8

    def path(t: int) -> tuple[float, float, float]:
        way = (t * step) % (2 * span)
        return half + min(way, 2 * span - way), HEIGHT / 2 + 10 * math.sin(t), 1.0

    return [Layer(sprite, path)]


_SCENES: dict[str, Callable[[Photographs, np.random.Generator], list[Layer]]] = {
    "crossing": _crossing,
    "occlusion": _occlusion,
    "exit": _exit,
    "reentry": _reentry,
    "crowd": _crowd,
    "fast": _fast,
}
