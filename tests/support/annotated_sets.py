"""Small annotated sets of colored shapes, in every form that `mobileinst train` reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Classes and their colors.
CLASSES = ("ball", "brick")
_COLORS = ((230, 60, 40), (40, 200, 70))
SIZE = (72, 96)


@dataclass(frozen=True)
class Shape:
    """A rectangle: class index and box x0, y0, x1, y1 in pixels."""

    label: int
    box: tuple[int, int, int, int]

    @property
    def polygon(self) -> list[float]:
        x0, y0, x1, y1 = self.box
        return [x0, y0, x1, y0, x1, y1, x0, y1]

    def mask(self) -> NDArray[np.bool_]:
        x0, y0, x1, y1 = self.box
        mask = np.zeros(SIZE, np.bool_)
        mask[y0:y1, x0:x1] = True
        return mask


def shapes_of(number: int) -> list[Shape]:
    """The objects of image ``number``: one or two, of both classes in turns."""
    rng = np.random.default_rng(number)
    x, y = (int(v) for v in rng.integers(3, 14, 2))
    w, h = (int(v) for v in rng.integers(20, 32, 2))
    first = Shape(number % 2, (x, y, x + w, y + h))
    if number % 3 == 2:
        return [first]
    x, y = (int(v) for v in rng.integers(50, 62, 2))
    return [first, Shape((number + 1) % 2, (x, y - 20, min(x + w, 95), min(y + h - 20, 71)))]


def picture(number: int) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of image ``number``: flat shapes on noise."""
    rng = np.random.default_rng(1000 + number)
    pixels = rng.integers(60, 110, (*SIZE, 3)).astype(np.uint8)
    for shape in shapes_of(number):
        pixels[shape.mask()] = _COLORS[shape.label]
    return pixels


def save_picture(path: Path, number: int) -> Path:
    """Write image ``number``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number)).save(path)
    return path


def write_coco(folder: Path, count: int = 6, start: int = 0) -> Path:
    """``images/`` and ``annotations/instances_default.json``, as CVAT exports; returns the folder."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(start, start + count):
        save_picture(folder / "images" / f"{number}.png", number)
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        for shape in shapes_of(number):
            x0, y0, x1, y1 = shape.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 5 + shape.label,
                    "segmentation": [shape.polygon],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 5 + i, "name": name} for i, name in enumerate(CLASSES)]
    file = folder / "annotations" / "instances_default.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return folder


def write_yolo(folder: Path, count: int = 6) -> Path:
    """``data.yaml``, ``images/`` and ``labels/`` with train and val; every third image is of val."""
    for number in range(count):
        part = "val" if number % 3 == 2 else "train"
        save_picture(folder / "images" / part / f"{number}.png", number)
        lines = []
        for shape in shapes_of(number):
            corners = [v / SIZE[1 - i % 2] for i, v in enumerate(shape.polygon)]
            lines.append(f"{shape.label} " + " ".join(f"{v:.6f}" for v in corners))
        label = folder / "labels" / part / f"{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("\n".join(lines) + "\n")
    text = f"train: ../images/train\nval: ../images/val\nnc: {len(CLASSES)}\nnames: {json.dumps(CLASSES)}\n"
    (folder / "data.yaml").write_text(text)
    return folder


def write_labelme(folder: Path, count: int = 6) -> Path:
    """A JSON file beside each image."""
    for number in range(count):
        save_picture(folder / f"{number}.png", number)
        shapes = [
            {
                "label": CLASSES[shape.label],
                "points": np.reshape(shape.polygon, (-1, 2)).tolist(),
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
            }
            for shape in shapes_of(number)
        ]
        record = {"version": "5.0.0", "flags": {}, "shapes": shapes, "imagePath": f"{number}.png"}
        record |= {"imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (folder / f"{number}.json").write_text(json.dumps(record))
    return folder


def write_via(folder: Path, count: int = 6) -> Path:
    """``via_region_data.json`` beside the images of ``train`` and ``val``, as the balloon set has it."""
    for part in ("train", "val"):
        entries = {}
        for number in range(count):
            if (part == "val") != (number % 3 == 2):
                continue
            save_picture(folder / part / f"{number}.png", number)
            regions = [
                {
                    "shape_attributes": {
                        "name": "polygon",
                        "all_points_x": shape.polygon[::2],
                        "all_points_y": shape.polygon[1::2],
                    },
                    "region_attributes": {"kind": CLASSES[shape.label]},
                }
                for shape in shapes_of(number)
            ]
            entries[f"{number}.png1"] = {"filename": f"{number}.png", "size": 1, "regions": regions}
        (folder / part / "via_region_data.json").write_text(json.dumps(entries))
    return folder


def write_png_masks(folder: Path, count: int = 6) -> Path:
    """``images/`` and ``masks/`` with 16-bit ids class * 1000 + object, and ``classes.txt``."""
    for number in range(count):
        save_picture(folder / "images" / f"{number}.png", number)
        ids = np.zeros(SIZE, np.uint16)
        for index, shape in enumerate(shapes_of(number)):
            ids[shape.mask()] = (shape.label + 1) * 1000 + index
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(ids).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


#: A writer for each form, by the name that the reader gives it.
WRITERS = {
    "COCO": write_coco,
    "YOLO": write_yolo,
    "labelme": write_labelme,
    "VIA": write_via,
    "PNG masks": write_png_masks,
}
