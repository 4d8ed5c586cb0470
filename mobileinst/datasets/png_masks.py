"""Folders of images with PNG masks: a picture of ids for each image, or a folder of one picture per object.

Ids are grey values or palette entries of 8 or 16 bits, or R + 256 G + 65536 B; 0 is background. From 1000
on an id is class * 1000 + object (MOTS), and ``classes.txt`` names the classes from 1 on. Where no picture of
the set holds more than one value, its connected components are the objects.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..io.extras import import_extra, import_pillow
from ..results import compress, encode
from .images import class_names, images_below, known_size, part_of
from .model import NAMELESS, Collector, DatasetError, Item

#: What folders of images and of masks are called.
_IMAGES = ("images", "image", "imgs", "JPEGImages", "jpg")
_MASKS = ("masks", "mask", "labels", "annotations", "instances", "instance_masks", "SegmentationObject", "gt")
#: Ids from here on hold a class.
_CLASS = 1000
#: Connected components of fewer pixels are no objects.
_LEAST = 16


def mask_folders(folder: Path) -> tuple[Path, Path] | None:
    """The folders of images and masks below a folder, or None."""
    images = next((folder / name for name in _IMAGES if images_below(folder / name)), None)
    masks = next((folder / name for name in _MASKS if _has_masks(folder / name)), None)
    return None if images is None or masks is None else (images, masks)


def _has_masks(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return any(p.suffix.lower() == ".png" for p in folder.glob("*")) or any(folder.glob("*/*.png"))


def read_png_masks(root: Path, found: Collector) -> None:
    """Read ``images`` and ``masks`` of a folder, or of each of its parts."""
    parts = [(folder, part_of(folder.name)) for folder in sorted(root.iterdir()) if folder.is_dir()]
    given: list[tuple[Path, str | None]] = [(f, part) for f, part in parts if part and mask_folders(f)]
    if mask_folders(root):
        given = [(root, None)]
    pairs: list[tuple[Path, list[Path], str | None]] = []
    for folder, part in given:
        folders = mask_folders(folder)
        assert folders is not None
        own = part if len(given) > 1 else None
        for image in images_below(folders[0]):
            files = _masks_of(image, folders[1])
            if files:
                pairs.append((image, files, own))
            else:
                found.warn(str(image), f"without a mask in {folders[1]}: left out")
    names = class_names(root)
    flat = all(_one_value(files) for _, files, _ in pairs)
    if flat and pairs:
        found.warn(str(pairs[0][1][0]), "masks of one value: connected components are taken as objects")
    for image, files, part in pairs:
        _read_image(image, files, part, flat, names, found)


def _masks_of(image: Path, folder: Path) -> list[Path]:
    inner = folder / image.stem
    if inner.is_dir():
        return images_below(inner)
    names = (image.stem, f"{image.stem}_mask", f"{image.stem}_masks", f"{image.stem}_label", image.name)
    return next(([folder / f"{n}.png"] for n in names if (folder / f"{n}.png").is_file()), [])


def _ids(file: Path) -> NDArray[np.int64]:
    """Ids (H, W) of a picture.

    Raises:
        DatasetError: if it can't be read.
    """
    pillow, _ = import_pillow()
    try:
        with pillow.open(file) as image:
            pixels = np.asarray(image)
    except Exception as error:  # readers of damaged files raise nearly every class
        raise DatasetError(f"can't be read as an image: {type(error).__name__}") from None
    values = pixels.astype(np.int64)
    if values.ndim == 2:
        return values
    if values.shape[2] in (2, 4):
        values = values[..., :-1]  # opacity
    grey = values.shape[2] == 1 or bool((values[..., :1] == values).all())
    return values[..., 0] if grey else values[..., :3] @ np.array([1, 256, 65536])


def _one_value(files: list[Path]) -> bool:
    if len(files) > 1:
        return False
    try:
        values = np.unique(_ids(files[0]))
    except DatasetError:
        return True  # said when it is read
    return len(values[values > 0]) <= 1 and (not len(values) or values.max() < _CLASS)


def _read_image(
    image: Path, files: list[Path], part: str | None, flat: bool, names: list[str], found: Collector
) -> None:
    size = known_size(found, str(image), image.name, image)
    if size is None:
        return
    items: list[tuple[str, Item] | None] = []
    for file in files:
        try:
            ids = _ids(file)
            if ids.shape != size:
                raise DatasetError(f"is {ids.shape[1]}x{ids.shape[0]} pixels, its image {size[1]}x{size[0]}")
            if len(files) > 1:
                ids = (ids > 0).astype(np.int64)
            elif flat:
                ids = _components(ids)
            for value in np.unique(ids[ids > 0]).tolist():
                label = _class_name(file, value, names)
                (runs,) = encode((ids == value)[None])
                mask = {"size": list(size), "counts": compress(runs)}
                items.append(found.item(f"{file}: id {value}", label, mask, size))
        except DatasetError as error:
            found.error(str(file), str(error))
            return
    found.add(image, size, items, part)


def _class_name(file: Path, value: int, names: list[str]) -> str:
    index = value // _CLASS if value < 65536 else 0
    if not index:
        return names[0] if len(names) == 1 else NAMELESS
    if names and index > len(names):
        raise DatasetError(f"id {value} is of class {index}; classes.txt names {len(names)}")
    return names[index - 1] if names else f"class {index}"


def _components(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected components, numbered from 1; specks are background."""
    ndimage = import_extra("scipy.ndimage", "masks of one value need SciPy", "train")
    numbered, count = ndimage.label(ids > 0)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    return np.where(sizes[numbered] >= _LEAST, numbered, 0).astype(np.int64)
