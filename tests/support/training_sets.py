"""Tiny annotated sets and configurations for the tests of training."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 3, "name": "car", "supercategory": "vehicle"},
    {"id": 17, "name": "cat", "supercategory": "animal"},
    {"id": 44, "name": "bottle", "supercategory": "kitchen"},
    {"id": 1001, "name": "tiger", "supercategory": "animal"},
    {"id": 1012, "name": "vehicle (kind unknown)", "supercategory": "vehicle"},
]

CLASSES = ("person", "vehicle", "animal")

#: Color of the objects of each class; the background is blue.
COLORS = {0: (250, 20, 20), 1: (20, 250, 20), 2: (250, 250, 20)}
BACKGROUND = (20, 20, 200)


def _box_polygon(x0: int, y0: int, x1: int, y1: int) -> list[list[float]]:
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def write_set(folder: Path, count: int = 6) -> tuple[Path, Path]:
    """Images of colored rectangles with COCO JSON; returns the JSON file and the image folder."""
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    kinds = [(1, 0), (3, 1), (17, 2), (1001, 2), (1012, 1)]
    for number in range(count):
        pixels = np.full((80, 96, 3), BACKGROUND, np.uint8)
        for slot in range(2):
            category, label = kinds[(number + slot) % len(kinds)]
            x0, y0, x1, y1 = 8 + 44 * slot, 12 + number, 42 + 44 * slot, 60 + number
            pixels[y0:y1, x0:x1] = COLORS[label]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": _box_polygon(x0, y0, x1, y1),
                    "area": (x1 - x0) * (y1 - y0),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                }
            )
        name = f"{number}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        labelled: Any = ["animal"] if number == 1 else "all"
        images.append(
            {"id": number + 1, "file_name": name, "width": 96, "height": 80, "set": "a", "labelled": labelled}
        )
    data = {"info": {"sets": {"a": "made here"}}, "images": images, "annotations": annotations}
    path = folder / "instances.json"
    path.write_text(json.dumps({**data, "categories": CATEGORIES}))
    return path, folder / "images"


def write_videos(folder: Path, length: int = 4) -> tuple[Path, Path]:
    """One video of a moving person and a car that leaves, as YouTube-VIS JSON."""
    from pycocotools import mask as coco_mask

    (folder / "frames").mkdir(parents=True)
    tracks: list[list[Any]] = [[], []]
    names = []
    for index in range(length):
        pixels = np.full((64, 96, 3), BACKGROUND, np.uint8)
        masks = np.zeros((2, 64, 96), np.uint8)
        masks[0, 10:50, 10 + 4 * index : 34 + 4 * index] = 1
        if index < 2:
            masks[1, 20:60, 60:90] = 1
        for slot in range(2):
            pixels[masks[slot] > 0] = COLORS[slot]
            rle = coco_mask.encode(np.asfortranarray(masks[slot]))
            text = {"size": rle["size"], "counts": rle["counts"].decode()}
            tracks[slot].append(text if masks[slot].any() else None)
        names.append(f"{index}.png")
        Image.fromarray(pixels).save(folder / "frames" / names[-1])
    video = {"id": 7, "width": 96, "height": 64, "length": length, "file_names": names}
    annotations = [
        {"id": 1, "video_id": 7, "category_id": 1, "segmentations": tracks[0]},
        {"id": 2, "video_id": 7, "category_id": 3, "segmentations": tracks[1]},
    ]
    path = folder / "videos.json"
    categories = CATEGORIES[:2]
    path.write_text(json.dumps({"videos": [video], "annotations": annotations, "categories": categories}))
    return path, folder / "frames"


def settings(annotations: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """A configuration (as parsed TOML) of a small model on a set."""
    model = {"backbone": "topformer_t", "width": 16, "classes": 3, "queries": 8, "hidden": 32}
    values: dict[str, Any] = {
        "model": {**model, "heads": 2, "ffn": 32, "kernel_dim": 16},
        "classes": list(CLASSES),
        "train": {"annotations": str(annotations), "images": str(folder)},
        "images": 16,
        "batch": 2,
        "phases": [{"until": 0.5, "sizes": [64]}, {"until": 1.0, "sizes": [64, 96]}],
        "optimiser": {"lr": 1e-3, "warmup": 2},
        "auxiliary": {"early_heads": 0.5, "semantic": 1.0, "centre": 1.0},
    }
    return {**values, **changes}


def environment() -> dict[str, str]:
    """For processes that import what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def toml(values: dict[str, Any], prefix: str = "") -> str:
    """The little TOML that the tests need."""
    others = ("phases", "stages", "train")
    plain = [
        f"{k} = {json.dumps(v)}" for k, v in values.items() if not isinstance(v, dict) and k not in others
    ]
    if "phases" in values:
        rows = [f"{{ until = {p['until']}, sizes = {p['sizes']} }}" for p in values["phases"]]
        plain.append(f"phases = [{', '.join(rows)}]")
    for name, table in values.items():
        if isinstance(table, dict):
            plain.append(f"[{prefix}{name}]\n{toml(table, f'{prefix}{name}.')}")
    if isinstance(values.get("train"), list):
        plain += [f"[[train]]\n{toml(part)}" for part in values["train"]]
    plain += [f"[[stages]]\n{toml(stage, 'stages.')}" for stage in values.get("stages", [])]
    return "\n".join(plain)
