"""Images and instance masks from COCO JSON, decoded on demand or once into a packed cache."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

try:
    from PIL import Image
    from pycocotools import mask as coco_mask
except ImportError as error:  # pragma: no cover
    raise ImportError('training needs Pillow and pycocotools: pip install "mobileinst[train]"') from error

_FORMAT = 2


@dataclass(frozen=True)
class Instance:
    """One annotated object.

    Attributes:
        mask: uint8 (h, w), 0 or 255: the object's box with a border of one zero pixel around it.
        x, y: Position of the mask's corner in the image (may be -1 because of the border).
        label: Index of the class, or -1 for a region to ignore (crowd).
        exact: Whether the mask is known; if not, it fills the object's box.
        weight: How sure it is that the object is there (scores of pseudo boxes).
    """

    mask: NDArray[np.uint8]
    x: int
    y: int
    label: int
    exact: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image besides its pixels.

    Attributes:
        source: The set that it came from (``image.set``), empty if the file names none.
        labelled: For each class, whether every instance in this image is marked.
    """

    file_name: str
    source: str
    labelled: tuple[bool, ...]


class Source(Protocol):
    """Random access to images and their instances."""

    classes: tuple[str, ...]
    infos: list[ImageInfo]

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3)."""

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image, crowds included."""


def class_indices(
    categories: Sequence[Mapping[str, Any]], classes: Sequence[str], *, partial: bool = False
) -> dict[int, int]:
    """Category id to class index; a class is a category's name or, failing that, its supercategory.

    Args:
        partial: Accept that some classes have no category.

    Raises:
        ValueError: if a class names no category at all.
    """
    names = {str(category["name"]) for category in categories}
    found: dict[int, int] = {}
    for category in categories:
        for index, name in enumerate(classes):
            by_name = name == category["name"]
            by_group = name == category.get("supercategory") and category["name"] not in set(classes)
            if by_name or by_group:
                found[int(category["id"])] = index
    missing = [name for i, name in enumerate(classes) if i not in found.values()]
    if missing and not partial:
        groups = sorted({str(category.get("supercategory")) for category in categories})
        raise ValueError(f"no category for the classes {missing}; names {sorted(names)}, groups {groups}")
    return found


def decode_mask(segmentation: Any, height: int, width: int) -> NDArray[np.uint8]:
    """A COCO segmentation (polygons or run lengths of either form) as uint8 (height, width) of 0/1."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    decoded: NDArray[np.uint8] = coco_mask.decode(rle)
    return decoded


def crop_instance(mask: NDArray[np.uint8], label: int) -> Instance | None:
    """The instance of a full mask of 0/1, or None if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        return None
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return Instance(np.pad(mask[y0:y1, x0:x1] * np.uint8(255), 1), x0 - 1, y0 - 1, label)


def box_instance(box: Sequence[float], label: int, weight: float = 1.0) -> Instance | None:
    """The instance of which only the box (x, y, width, height) is known, or None if it has no pixel."""
    x0, y0 = round(box[0]), round(box[1])
    width, height = round(box[0] + box[2]) - x0, round(box[1] + box[3]) - y0
    if width < 1 or height < 1:
        return None
    mask = np.pad(np.full((height, width), 255, np.uint8), 1)
    return Instance(mask, x0 - 1, y0 - 1, label, False, weight)


class CocoSource:
    """Images of a COCO JSON file, read and decoded at every access.

    Args:
        annotations: The JSON file. ``image.labelled`` (class names, ``"all"``, or absent for all) says of
            which classes every instance is marked.
        images: Folder of the image files.
        classes: Names of categories or supercategories, in the order of the model's classes.
        pseudo: JSON file of boxes that a detector found where a class is not labelled (``category`` is a
            class, ``score`` its weight), or None.

    Annotations with ``box_only`` have no mask.
    """

    def __init__(
        self, annotations: Path, images: Path, classes: Sequence[str], pseudo: Path | None = None
    ) -> None:
        data = json.loads(annotations.read_text())
        self.classes = tuple(classes)
        self._folder = images
        self._records: list[Mapping[str, Any]] = list(data["images"])
        labels = class_indices(data["categories"], classes)
        position = {int(record["id"]): i for i, record in enumerate(self._records)}
        self._annotations: list[list[tuple[Mapping[str, Any], int]]] = [[] for _ in self._records]
        for annotation in data["annotations"]:
            label = labels.get(int(annotation["category_id"]))
            if label is not None:
                crowd = bool(annotation.get("iscrowd", 0))
                entry = (annotation, -1 if crowd else label)
                self._annotations[position[int(annotation["image_id"])]].append(entry)
        if pseudo is not None:
            self._add_pseudo(json.loads(pseudo.read_text())["annotations"], position)
        self.infos = [self._info(record) for record in self._records]

    def _add_pseudo(self, boxes: Sequence[Mapping[str, Any]], position: Mapping[int, int]) -> None:
        for box in boxes:
            if box["category"] in self.classes:
                entry = ({**box, "box_only": True}, self.classes.index(box["category"]))
                self._annotations[position[int(box["image_id"])]].append(entry)

    def _info(self, record: Mapping[str, Any]) -> ImageInfo:
        labelled = record.get("labelled", "all")
        known = tuple(labelled == "all" or name in labelled for name in self.classes)
        return ImageInfo(str(record["file_name"]), str(record.get("set", "")), known)

    def first_images(self, limit: float) -> int:
        """How many images, from the first, take at most ``limit`` bytes when they are decoded."""
        sizes = [3 * int(record["height"]) * int(record["width"]) for record in self._records]
        return int(np.searchsorted(np.cumsum(sizes), limit, side="right"))

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3) of a file."""
        with Image.open(self._folder / self.infos[index].file_name) as opened:
            return np.asarray(opened.convert("RGB"))

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""
        return {label for a, label in self._annotations[index] if label >= 0 and not a.get("box_only", False)}

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image, decoded from polygons or run lengths."""
        record = self._records[index]
        height, width = int(record["height"]), int(record["width"])
        found = []
        for annotation, label in self._annotations[index]:
            if annotation.get("box_only", False):
                instance = box_instance(annotation["bbox"], label, float(annotation.get("score", 1.0)))
            else:
                instance = crop_instance(decode_mask(annotation["segmentation"], height, width), label)
            if instance is not None:
                found.append(instance)
        return found


class JoinedSource:
    """Several sources as one, in their order."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.classes = sources[0].classes
        self.infos = [info for source in sources for info in source.infos]
        self._places = [(source, i) for source in sources for i in range(len(source.infos))]

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3)."""
        source, place = self._places[index]
        return source.image(place)

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""
        source, place = self._places[index]
        return source.donors(place)

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image."""
        source, place = self._places[index]
        return source.instances(place)


class PackedSource:
    """Another source decoded once into flat files, which all processes map into memory together.

    Args:
        folder: Where the files are; made by :func:`pack`.
    """

    def __init__(self, folder: Path) -> None:
        header = json.loads((folder / "index.json").read_text())
        self.classes = tuple(header["classes"])
        self.infos = [ImageInfo(f, s, tuple(known)) for f, s, known in header["infos"]]
        with np.load(folder / "index.npz") as index:
            self._images: NDArray[np.int64] = index["images"]  # offset, height, width, first, last instance
            self._masks: NDArray[np.int64] = index["masks"]  # offset, height, width, x, y, label, unsure
        self._pixels = np.memmap(folder / "images.bin", np.uint8, "r") if len(self._images) else None
        self._bits = np.memmap(folder / "masks.bin", np.uint8, "r") if len(self._masks) else None

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3), a read-only view."""
        offset, height, width = (int(v) for v in self._images[index, :3])
        assert self._pixels is not None
        flat = self._pixels[offset : offset + height * width * 3]
        return np.asarray(flat).reshape(height, width, 3)

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""
        rows = self._masks[slice(*self._images[index, 3:5])]
        return set(rows[(rows[:, 5] >= 0) & (rows[:, 6] == 0), 5].tolist())

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image; their masks are read-only views."""
        found = []
        for offset, height, width, x, y, label, unsure in self._masks[
            slice(*self._images[index, 3:5])
        ].tolist():
            assert self._bits is not None
            mask = np.asarray(self._bits[offset : offset + height * width]).reshape(height, width)
            weight = 1.0 if unsure <= 1 else (unsure - 1) / 1000
            found.append(Instance(mask, x, y, label, unsure == 0, weight))
        return found


class CachedSource:
    """A source whose first images have been packed."""

    def __init__(self, packed: PackedSource, whole: Source) -> None:
        self.classes, self.infos = whole.classes, whole.infos
        self._packed, self._whole = packed, whole

    def _at(self, index: int) -> Source:
        return self._packed if index < len(self._packed.infos) else self._whole

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3)."""
        return self._at(index).image(index)

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""
        return self._at(index).donors(index)

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image."""
        return self._at(index).instances(index)


def pack(source: Source, folder: Path, count: int | None = None) -> None:
    """Decode the first ``count`` images of a source (all) into ``folder``, made whole or not at all."""
    count = len(source.infos) if count is None else count
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    images: list[tuple[int, ...]] = []
    masks: list[tuple[int, ...]] = []
    pixel_end = mask_end = 0
    with (partial / "images.bin").open("wb") as pixel_file, (partial / "masks.bin").open("wb") as mask_file:
        for index in range(count):
            pixels = np.ascontiguousarray(source.image(index))
            first = len(masks)
            for item in source.instances(index):
                # 0 for a known mask, 1 for a box, from 2 on a box of less weight
                unsure = 0 if item.exact else 1 if item.weight == 1.0 else 1 + round(1000 * item.weight)
                masks.append((mask_end, *item.mask.shape, item.x, item.y, item.label, unsure))
                mask_file.write(np.ascontiguousarray(item.mask).data)
                mask_end += item.mask.size
            images.append((pixel_end, *pixels.shape[:2], first, len(masks)))
            pixel_file.write(pixels.data)
            pixel_end += pixels.size
    np.savez(
        partial / "index.npz",
        images=np.array(images, np.int64).reshape(-1, 5),
        masks=np.array(masks, np.int64).reshape(-1, 7),
    )
    infos = [(info.file_name, info.source, info.labelled) for info in source.infos[:count]]
    (partial / "index.json").write_text(json.dumps({"classes": source.classes, "infos": infos}))
    partial.rename(folder)


def open_source(
    annotations: Path,
    images: Path,
    classes: Sequence[str],
    cache: Path | None,
    pseudo: Path | None = None,
    limit: float = math.inf,
) -> CocoSource | CachedSource:
    """The images of a COCO JSON file; with ``cache``, packed there under a name made from the content.

    Args:
        limit: Bytes that the cache takes at most, about; images beyond are decoded at every access.
    """
    whole = CocoSource(annotations, images, classes, pseudo)
    if cache is None:
        return whole
    count = whole.first_images(limit)
    identity = f"{_FORMAT} {count} {images.resolve()} {list(classes)}".encode() + annotations.read_bytes()
    identity += pseudo.read_bytes() if pseudo is not None else b""
    folder = cache / f"packed-{hashlib.sha256(identity).hexdigest()[:16]}"
    if not folder.exists():
        pack(whole, folder, count)
    return CachedSource(PackedSource(folder), whole)
