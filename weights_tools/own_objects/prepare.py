"""A set of any form as the trainer reads it: two COCO files, images no larger than training needs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask

from mobileinst.datasets import Dataset, Item, Picture
from mobileinst.datasets.duplicates import picture_hash
from mobileinst.io.files import Output
from weights_tools.training.source import decode_mask

#: Quality of JPEGs that are written again.
_QUALITY = 92


@dataclass(frozen=True)
class Prepared:
    """An image for training. size: height and width; annotations: without ids; hash: how it looks."""

    file: Path
    size: tuple[int, int]
    annotations: tuple[dict[str, Any], ...]
    hash: int


def prepare(picture: Picture, place: Path, longest: int) -> Prepared:
    """Turn an image upright and shrink it to a longer side of ``longest``, masks with it.

    A JPEG that is so already stays where it is; others are written to ``place`` (without suffix).
    """
    with Image.open(picture.path) as opened:
        plain = opened.format == "JPEG" and opened.mode == "RGB" and opened.size == picture.size[::-1]
        image = opened if plain else _upright(opened)
        scale = min(1.0, longest / max(image.size))
        if scale < 1.0:
            image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
        width, height = (max(1, round(side * scale)) for side in picture.size[::-1])
        small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
        look = picture_hash(small)
        file = picture.path.resolve()
        if not plain or scale < 1.0:
            file = place.with_suffix(".jpg").resolve()
            with Output(file) as output:
                small.save(output.open("wb"), "JPEG", quality=_QUALITY)
    size = (height, width)
    return Prepared(file, size, tuple(_annotation(i, picture.size, size) for i in picture.items), look)


def _upright(image: Any) -> Any:
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(grey)
    return ImageOps.exif_transpose(image)


def _annotation(item: Item, old: tuple[int, int], new: tuple[int, int]) -> dict[str, Any]:
    """An annotation in COCO's form at another size of the image."""
    sy, sx = new[0] / old[0], new[1] / old[1]
    x, y, w, h = item.box
    found: dict[str, Any] = {
        "category_id": item.label + 1,
        "iscrowd": int(item.crowd),
        "bbox": [x * sx, y * sy, w * sx, h * sy],
        "area": w * sx * h * sy,
    }
    if item.segmentation is None:
        return {**found, "box_only": True}
    if isinstance(item.segmentation, list):
        polygons = [[v * (sy if i % 2 else sx) for i, v in enumerate(p)] for p in item.segmentation]
        runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *new))
        return {**found, "segmentation": polygons, "area": float(coco_mask.area(runs))}
    mask = decode_mask(item.segmentation, *old)
    if new != old:
        mask = _resized(mask, new)
    runs = coco_mask.encode(np.asfortranarray(mask))
    text = {"size": list(new), "counts": runs["counts"].decode()}
    return {**found, "segmentation": text, "area": float(mask.sum())}


def _resized(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    small = Image.fromarray(mask * np.uint8(255)).resize(size[::-1], Image.Resampling.BOX)
    return (np.asarray(small) > 127).astype(np.uint8)


def measurable(images: Sequence[Prepared]) -> tuple[list[Prepared], bool]:
    """Images to measure on, where every object has a mask, and whether any had one of its own.

    Objects of which only the box is known count as regions where predictions are neither right nor wrong; if
    there are no others, boxes stand in for masks.
    """
    known = any("segmentation" in a and not a["iscrowd"] for image in images for a in image.annotations)
    return [
        dataclasses.replace(image, annotations=tuple(_with_mask(a, known) for a in image.annotations))
        for image in images
    ], known


def _with_mask(annotation: dict[str, Any], crowd: bool) -> dict[str, Any]:
    if "segmentation" in annotation:
        return annotation
    x, y, w, h = annotation["bbox"]
    polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
    rest = {key: value for key, value in annotation.items() if key != "box_only"}
    return {**rest, "segmentation": [polygon], "iscrowd": int(crowd or annotation["iscrowd"])}


def write_coco(path: Path, classes: Sequence[str], images: Sequence[Prepared], source: str) -> None:
    """A COCO file of prepared images; ``file_name`` is the whole path."""
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        height, width = image.size
        records.append({"id": number, "file_name": str(image.file), "height": height, "width": width})
        for annotation in image.annotations:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
    data = {
        "info": {"sets": {"own": source}},
        "images": records,
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    with Output(path) as output:
        json.dump(data, output.open())


def typical_extents(dataset: Dataset) -> NDArray[np.float64]:
    """Extents of all objects as shares of the shorter side of their images: the root of the box's area."""
    return np.array(
        [
            np.sqrt(item.box[2] * item.box[3]) / min(picture.size)
            for picture in dataset.pictures
            for item in picture.items
            if not item.crowd
        ]
    )
