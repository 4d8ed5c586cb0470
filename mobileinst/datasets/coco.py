"""COCO JSON: of CVAT, Label Studio, Roboflow, labelme2coco and others, a file for each part or for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evaluation.entries import DataError, number
from ..evaluation.files import read_annotations
from .images import known_image, part_of
from .model import Collector, DatasetError, Item


def is_coco(data: Any) -> bool:
    """Whether a JSON value has COCO's form."""
    keys = ("images", "annotations", "categories")
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in keys)


def read_coco(files: Sequence[Path], root: Path, found: Collector) -> None:
    """Read COCO files below a root folder; only instances_*.json where others (keypoints) lie beside them."""
    files = [file for file in files if file.name.startswith("instances")] or list(files)
    parts = [part_of(file.name) or part_of(file.parent.name) for file in files]
    for file, part in zip(files, parts, strict=True):
        _read_file(file, root, part if len(files) > 1 else None, found)


def _read_file(file: Path, root: Path, part: str | None, found: Collector) -> None:
    try:
        data = read_annotations(file, "images")
    except DataError as error:
        raise DatasetError(f"{file}: {_told(error, file)}") from None
    names = {category["id"]: str(category["name"]) for category in data["categories"]}
    of_image: dict[int, list[tuple[int, dict[str, Any]]]] = {image["id"]: [] for image in data["images"]}
    for index, entry in enumerate(data["annotations"]):
        where = f"{file}: annotations[{index}]"
        if entry["image_id"] not in of_image:
            found.error(where, f"image_id {entry['image_id']} is not among the images")
        elif entry["category_id"] not in names:
            found.error(where, f"category_id {entry['category_id']} is not among the categories")
        else:
            of_image[entry["image_id"]].append((index, entry))
    used = {entry["category_id"] for entries in of_image.values() for _, entry in entries}
    # Roboflow and others list a root category that nothing belongs to
    found.names += [name for i, name in names.items() if i in used and name not in found.names]
    folders = _image_folders(file, root, part)
    for index, image in enumerate(data["images"]):
        name = str(image.get("file_name", "")) or "without file_name"
        given = (image.get("height"), image.get("width"))
        known = known_image(found, f"{file}: images[{index}]", name, folders, given)
        if known is not None:
            path, size = known
            items = [
                _item(f"{file}: annotations[{i}]", entry, names[entry["category_id"]], size, found)
                for i, entry in of_image[image["id"]]
            ]
            found.add(path, size, items, part)


def _told(error: DataError, file: Path) -> str:
    return str(error).removeprefix(f"annotations {file}: ").removeprefix("annotations: ")


def _image_folders(file: Path, root: Path, part: str | None) -> list[Path]:
    """Where the images of a file may lie."""
    own = [folder for folder in (file.parent, file.parent.parent, root) if folder.is_dir()]
    below = ["", "images", "data", "JPEGImages"]
    if part is not None:
        for base in (file.parent, file.parent.parent):
            for folder in sorted(base.glob("*")) + sorted(base.glob("images/*")):
                if folder.is_dir() and part_of(folder.name) == part:
                    own = [folder, *own]
    below += ["images/default", "images/train", "images/val"]
    return [folder / name for folder in own for name in below if (folder / name).is_dir()]


def _item(
    where: str, entry: dict[str, Any], name: str, size: tuple[int, int], found: Collector
) -> tuple[str, Item] | None:
    crowd = bool(entry["iscrowd"])
    mask = entry.get("segmentation")
    if isinstance(mask, dict) or (isinstance(mask, list) and mask):
        if isinstance(mask, list) and not isinstance(mask[0], (list, tuple)):
            mask = [mask]
        if isinstance(mask, list):
            try:
                mask = [[float(v) for v in polygon] for polygon in mask]
            except (TypeError, ValueError):
                found.error(f"{where}.segmentation", "expected polygons of numbers or run lengths")
                return None
        return found.item(where, name, mask, size, crowd=crowd)
    box = entry.get("bbox")
    values = [number(v) for v in box] if isinstance(box, (list, tuple)) else []
    if len(values) != 4 or None in values:
        found.error(where, "expected a mask as 'segmentation' or a box as 'bbox' (x, y, width, height)")
        return None
    x, y, width, height = (float(v) for v in values if v is not None)
    return found.boxed(where, name, (x, y, width, height), size)
