"""VIA (VGG Image Annotator) JSON, projects and exports of version 1 and 2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evaluation.entries import number, said
from .images import known_image, part_of
from .model import NAMELESS, Collector, DatasetError, Item, read_annotation_json
from .shapes import circle, rectangle

#: Attributes that name classes, in the order in which they are looked for.
_CLASS_KEYS = ("class", "label", "name", "type", "category", "object")


def is_via(data: Any) -> bool:
    """Whether a JSON value has VIA's form."""
    entries = _entries(data)
    return bool(entries) and all(isinstance(e, dict) and "filename" in e and "regions" in e for e in entries)


def _entries(data: Any) -> list[Any]:
    if not isinstance(data, dict):
        return []
    inner = data.get("_via_img_metadata", data)
    return list(inner.values()) if isinstance(inner, dict) else []


def read_via(files: Sequence[Path], root: Path, found: Collector) -> None:
    """Read files; their names or folders may be those of parts."""
    read = [(file, _entries(read_annotation_json(file))) for file in files]
    regions = [region for _, entries in read for entry in entries for region in _regions(entry)]
    classes = _Classes(regions)
    for file, entries in read:
        part = part_of(file.name) or part_of(file.parent.name) if len(files) > 1 else None
        folders = [file.parent, file.parent / "images", root, root / "images"]
        if part is not None:
            folders[1:1] = [root / part, root / "images" / part]
        for entry in entries:
            _read_entry(file, entry, classes, folders, part, found)


def _regions(entry: Any) -> list[Any]:
    regions = entry["regions"]
    return list(regions.values()) if isinstance(regions, dict) else list(regions or [])


def _attributes(region: Any) -> dict[str, Any]:
    found = region.get("region_attributes") if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _class_key(regions: Sequence[Any]) -> str | None:
    """The attribute that holds classes: the best known name, or the one that most regions have."""
    counts = Counter(key for region in regions for key, value in _attributes(region).items() if value)
    for name in _CLASS_KEYS:
        for key in counts:
            if key.lower() == name:
                return key
    return counts.most_common(1)[0][0] if counts else None


def _class_name(region: Any, key: str) -> str:
    """The class of a region, empty if none is given."""
    value = _attributes(region).get(key)
    if isinstance(value, dict):  # boxes to tick
        value = next((name for name, ticked in value.items() if ticked), None)
    return str(value).strip() if value is not None else ""


class _Classes:
    """Names of the classes of regions; all are of one class where no attribute or only one value is given."""

    def __init__(self, regions: Sequence[Any]) -> None:
        self._key = _class_key(regions)
        names = {_class_name(region, self._key) for region in regions} - {""} if self._key else set()
        self._only = NAMELESS if not names else next(iter(names)) if len(names) == 1 else None

    def of(self, region: Any) -> str:
        """Class of a region.

        Raises:
            DatasetError: if it has none, and there are several.
        """
        name = _class_name(region, self._key) if self._key else ""
        if not name and self._only is None:
            raise DatasetError(f"expected a class as {self._key!r}, got {said(_attributes(region))}")
        return name or self._only or NAMELESS


def _read_entry(
    file: Path,
    entry: dict[str, Any],
    classes: _Classes,
    folders: list[Path],
    part: str | None,
    found: Collector,
) -> None:
    name = str(entry["filename"])
    where = f"{file}: {name}"
    image = known_image(found, where, name, folders)
    if image is None:
        return
    path, size = image
    items: list[tuple[str, Item] | None] = []
    for index, region in enumerate(_regions(entry)):
        place = f"{where}: regions[{index}]"
        try:
            polygon, name_of = _outline(region), classes.of(region)
        except DatasetError as error:
            found.error(place, str(error))
            continue
        if polygon is None:
            found.warn(place, "a point or line has no area: left out")
        else:
            items.append(found.item(place, name_of, [polygon], size))
    found.add(path, size, items, part)


def _outline(region: Any) -> list[float] | None:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise DatasetError(f"expected shape_attributes, got {said(shape)}")

    def values(*names: str) -> list[float]:
        numbers = [number(shape.get(name)) for name in names]
        known = [v for v in numbers if v is not None]
        if len(known) != len(names):
            raise DatasetError(f"expected numbers as {', '.join(names)}, got {said(shape)}")
        return known

    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        lists = [shape.get(f"all_points_{axis}") for axis in "xy"]
        if not all(isinstance(v, list) for v in lists) or len(lists[0] or ()) != len(lists[1] or ()):
            raise DatasetError("expected all_points_x and all_points_y of one length")
        corners = [number(v) for pair in zip(*(v or () for v in lists), strict=True) for v in pair]
        if None in corners:
            raise DatasetError("expected numbers in all_points_x and all_points_y")
        return [v for v in corners if v is not None]
    if kind == "rect":
        x, y, width, height = values("x", "y", "width", "height")
        return rectangle(x, y, x + width, y + height)
    if kind == "circle":
        x, y, radius = values("cx", "cy", "r")
        return circle(x, y, radius, radius)
    if kind == "ellipse":
        x, y, radius_x, radius_y = values("cx", "cy", "rx", "ry")
        return circle(x, y, radius_x, radius_y, number(shape.get("theta")) or 0.0)
    return None
