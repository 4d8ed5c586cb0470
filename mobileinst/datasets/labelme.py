"""labelme: a JSON file beside each image."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.entries import number, said, whole
from ..io.extras import import_pillow
from ..masks.polygons import join_rings, mask_polygons
from .images import known_image, part_of
from .model import Collector, DatasetError, Item, read_annotation_json
from .shapes import circle, rectangle

#: Labels of regions in which nothing is learned, and of what is no object.
_IGNORED, _BACKGROUND = "__ignore__", "_background_"


def is_labelme(data: Any) -> bool:
    """Whether a JSON value has labelme's form."""
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def read_labelme(files: Sequence[Path], root: Path, found: Collector) -> None:
    """Read files; the folders that they lie in may be parts."""
    parts = {file: part_of(str(file.parent.relative_to(root))) for file in files}
    split = len({part for part in parts.values() if part}) > 1
    for file in files:
        try:
            data = read_annotation_json(file)
        except DatasetError as error:
            found.error(str(file), str(error).removeprefix(f"{file}: "))
            continue
        if not is_labelme(data):
            found.warn(str(file), "no file of labelme: left out")
            continue
        _read_file(file, data, parts[file] if split else None, found)


def _read_file(file: Path, data: dict[str, Any], part: str | None, found: Collector) -> None:
    name = str(data["imagePath"])
    folders = [file.parent, file.parent / "images", file.parent.parent / "images"]
    given = (whole(data.get("imageHeight")), whole(data.get("imageWidth")))
    image = known_image(found, str(file), name, folders, given)
    if image is None:
        return
    path, size = image
    groups: dict[Any, list[tuple[str, str, list[list[float]]]]] = {}
    for index, shape in enumerate(data["shapes"]):
        where = f"{file}: shapes[{index}]"
        try:
            label, polygons = _outlines(where, shape, found)
        except DatasetError as error:
            found.error(where, str(error))
            continue
        if polygons:
            group = shape.get("group_id")
            key = index if group is None else (label, str(group))
            groups.setdefault(key, []).append((where, label, polygons))
    items: list[tuple[str, Item] | None] = []
    for pieces in groups.values():
        where, label, _ = pieces[0]
        joined = [polygon for _, _, polygons in pieces for polygon in polygons]
        items.append(found.item(where, label, joined, size, crowd=label == _IGNORED))
    found.add(path, size, items, part)


def _outlines(where: str, shape: Any, found: Collector) -> tuple[str, list[list[float]]]:
    """Label and polygons of a shape; no polygon of what is no object."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise DatasetError(f"expected a shape with a label, got {said(shape)}")
    label, kind = shape["label"], shape.get("shape_type") or "polygon"
    if label == _BACKGROUND:
        return label, []
    points = _points(shape.get("points"))
    if kind == "polygon":
        return label, [[v for point in points for v in point]]
    if kind == "mask":
        return label, _mask(shape.get("mask"), points)
    if kind == "rectangle" and len(points) >= 2:
        xs, ys = zip(*points, strict=True)
        return label, [rectangle(min(xs), min(ys), max(xs), max(ys))]
    if kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.hypot(edge[0] - x, edge[1] - y)
        return label, [circle(x, y, radius, radius)]
    found.warn(where, f"a {kind} has no area: left out")
    return label, []


def _points(given: Any) -> list[tuple[float, float]]:
    points = []
    for point in given if isinstance(given, list) else []:
        pair = [number(v) for v in point] if isinstance(point, (list, tuple)) else []
        if len(pair) != 2 or pair[0] is None or pair[1] is None:
            raise DatasetError(f"expected points as [x, y], got {said(point)}")
        points.append((pair[0], pair[1]))
    if not points:
        raise DatasetError(f"expected a list of points, got {said(given)}")
    return points


def _mask(text: Any, points: list[tuple[float, float]]) -> list[list[float]]:
    """Polygons of a mask, a PNG in base64 whose corner is the first point."""
    pillow, _ = import_pillow()
    try:
        with pillow.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            mask = np.asarray(image.convert("L")) > 0
    except (TypeError, ValueError, binascii.Error, OSError):
        raise DatasetError("expected the mask as a PNG in base64") from None
    rings = mask_polygons(mask, 0.0)
    corner = np.round(points[0]).astype(np.float32)
    return [(join_rings(rings) + corner).ravel().tolist()] if rings else []
