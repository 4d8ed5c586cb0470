"""Entries of annotation and results files as everybody writes them, made uniform or refused by name.

Exporters leave keys out, write numbers as text or as floats, and use null for "nothing". What can mean one
thing only is taken as that; anything else is a DataError that names the entry, before it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..inputs import MAX_SIDE
from ..io.terminal import short

#: Most pixels of an image.
MAX_PIXELS = 1 << 28


class DataError(ValueError):
    """An annotation or results file that isn't what it should be; the message says what and where."""


def whole(value: Any) -> int | None:
    """An integer, from an integer, a float without fraction, or digits as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return int(value) if math.isfinite(value) and value == int(value) else None
    if isinstance(value, str) and len(value) <= 18:
        digits = value.strip().removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() else None
    return None


def number(value: Any) -> float | None:
    """A finite number, from a number or text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def said(value: Any) -> str:
    """A value for messages."""
    return "nothing" if value is None else short(value)


def identified(entries: Sequence[Any], kind: str) -> list[dict[str, Any]]:
    """Images, videos or categories, with their ids as integers (new objects).

    Raises:
        DataError: for an entry that is no object, has no such id, or has that of another.
    """
    found = []
    seen: set[int] = set()
    plural = "categories" if kind == "category" else f"{kind}s"
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"{kind} #{place}: expected an object, got {said(entry)}")
        own = whole(entry.get("id"))
        if own is None:
            raise DataError(f"{kind} #{place}: expected an integer id, got {said(entry.get('id'))}")
        if own in seen:
            raise DataError(f"annotations: id {own} occurs twice in {plural!r}")
        seen.add(own)
        found.append({**entry, "id": own})
    return found


def sized(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """An image or video with height and width as integers, or without both where either isn't given.

    Raises:
        DataError: for a size that none can have.
    """
    name = f"{kind} {item['id']}"
    given = [item.get("height"), item.get("width")]
    sides = [whole(side) for side in given]
    for side, value in zip(given, sides, strict=True):
        if side is not None and (value is None or not 1 <= value <= MAX_SIDE):
            raise DataError(f"{name}: expected height and width of 1 to {MAX_SIDE} pixels, got {said(side)}")
    rest = {key: value for key, value in item.items() if key not in ("height", "width")}
    height, width = sides
    if height is None or width is None:
        return rest
    if height * width > MAX_PIXELS:
        raise DataError(f"{name}: expected at most {MAX_PIXELS} pixels, got {height}x{width}")
    return {**rest, "height": height, "width": width}


def long(video: dict[str, Any]) -> dict[str, Any]:
    """A video with its length as an integer, where it or the names of its frames are given.

    Raises:
        DataError: if they are no length and no names, or differ.
    """
    name = f"video {video['id']}"
    names = video.get("file_names")
    if names is not None and not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        raise DataError(f"{name}: expected a list of names as file_names, got {said(names)}")
    given = video.get("length")
    length = whole(given)
    if given is not None and (length is None or not 0 <= length < 1 << 31):
        raise DataError(f"{name}: expected a number of frames as length, got {said(given)}")
    rest = {key: value for key, value in video.items() if key not in ("file_names", "length")}
    if names is not None:
        rest["file_names"] = names
    if length is None and names is not None:
        length = len(names)
    return rest if length is None else {**rest, "length": length}


def named(categories: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Categories with names as text, each of its own, and supercategories as text or not at all."""
    categories = list(categories)
    names = [_text(category.get("name")) or f"category {category['id']}" for category in categories]
    found = []
    for category, name in zip(categories, names, strict=True):
        own = name if names.count(name) == 1 else f"{name} (id {category['id']})"
        above = _text(category.get("supercategory"))
        rest = {key: value for key, value in category.items() if key not in ("name", "supercategory")}
        found.append({**rest, "name": own} | ({"supercategory": above} if above else {}))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else said(value)


def annotated(entries: Sequence[Any], item: str) -> list[dict[str, Any]]:
    """Annotations with integers as ids, `item` and category_id, and 0 or 1 as iscrowd (new objects).

    An annotation without an id, or with one that is no integer, gets one of its own: nothing refers to it.

    Raises:
        DataError: for anything else.
    """
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"annotation #{place}: expected an object, got {said(entry)}")
        own = whole(entry.get("id"))
        if own is not None and own in seen:
            raise DataError(f"annotations: id {own} occurs twice in 'annotations'")
        if own is not None:
            seen.add(own)
        name = f"annotation {own}" if own is not None else f"annotation #{place}"
        fields = {key: _id_field(entry, key, name) for key in (item, "category_id")}
        found.append({**entry, "id": own, **fields, "iscrowd": _crowd(entry.get("iscrowd"), name)})
    free = iter(range(max(seen, default=0) + 1, max(seen, default=0) + len(found) + 1))
    for entry in found:
        if entry["id"] is None:
            entry["id"] = next(free)
    return found


def results(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """Results with integers as image_id or video_id and category_id and a number as score (new objects).

    Raises:
        DataError: for anything else.
    """
    found = []
    for place, entry in enumerate(entries):
        name = f"result {place}"
        if not isinstance(entry, dict):
            raise DataError(f"{name}: expected an object, got {type(entry).__name__}")
        item = "video_id" if "video_id" in entry and "image_id" not in entry else "image_id"
        fields: dict[str, Any] = {key: _id_field(entry, key, name) for key in (item, "category_id")}
        score = number(entry.get("score"))
        if score is None:
            raise DataError(f"{name}: expected a finite number as score, got {said(entry.get('score'))}")
        found.append({**entry, **fields, "score": score})
    return found


def _id_field(entry: Mapping[str, Any], key: str, name: str) -> int:
    given = entry.get(key)
    value = whole(given)
    if value is None:
        raise DataError(f"{name}: expected an integer {key}, got {said(given)}")
    return value


def _crowd(given: Any, name: str) -> int:
    value = int(bool(given)) if given in (None, "", False, True) else whole(given)
    if value is None or value not in (0, 1):
        raise DataError(f"{name}: expected 0 or 1 as iscrowd, got {said(given)}")
    return value


def area(given: Any, name: str) -> float | None:
    """An annotation's area, None where it isn't given.

    Raises:
        DataError: for anything but a number of at least 0.
    """
    if given is None or given == "":
        return None
    value = number(given)
    if value is None or value < 0:
        raise DataError(f"{name}: expected an area of at least 0, got {said(given)}")
    return value


def areas(given: Any, name: str) -> list[float] | None:
    """Areas of an annotated track, frame by frame, without those that aren't given; None without any list.

    Raises:
        DataError: for anything but a list of numbers of at least 0.
    """
    if given is None:
        return None
    if not isinstance(given, list):
        raise DataError(f"{name}: expected a list of areas, got {said(given)}")
    return [value for value in (area(one, name) for one in given) if value is not None]
