"""Checks of a results file before it is sent to an evaluation server: what is wrong, and in which entry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..io.problems import Problem
from .entries import DataError
from .files import read_annotations, read_json
from .matching import MAX_DETECTIONS
from .run_lengths import decompress


@dataclass(frozen=True)
class _Format:
    """Names of a format: the key and list of its items, and the key of the masks."""

    name: str
    item: str
    items: str
    masks: str

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.item, "category_id", "score", self.masks)


FORMATS = {
    "coco": _Format("COCO", "image_id", "images", "segmentation"),
    "ytvis": _Format("YouTube-VIS", "video_id", "videos", "segmentations"),
}


def validate(results: Any, gt: Any = None, kind: str | None = None) -> list[Problem]:
    """Everything that is wrong with a results file.

    Args:
        results: path of a JSON file, or the loaded object.
        gt: annotations that the results belong to (path or object; a test set's without "annotations" will
            do), to check ids, sizes and lengths against; None checks the format alone.
        kind: "coco" or "ytvis"; None finds out from the first entry.

    Returns:
        findings in the order of the file; an empty list means the file is good.

    Raises:
        DataError: if the annotations can't be read.
        ValueError: for an unknown `kind`.
    """
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"expected kind 'coco' or 'ytvis', got {kind!r}")
    try:
        entries = read_json(results, "results")
    except DataError as error:
        return [Problem("file", str(error))]
    if not isinstance(entries, list):
        inner = isinstance(entries, dict) and "annotations" in entries
        hint = '; the list under "annotations" may be what is meant' if inner else ""
        return [Problem("file", f"expected a list of results, got {type(entries).__name__}{hint}")]
    if not entries:
        return [Problem("file", "the list of results is empty", error=False)]
    form = FORMATS[kind or _guess(entries)]
    truth = None if gt is None else _Truth(gt, form)
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        problems.extend(_entry(f"result {index}", entry, form, truth))
    problems.extend(_whole(entries, form, truth))
    return problems


class _Truth:
    """What the annotations say about ids, sizes and lengths."""

    def __init__(self, gt: Any, form: _Format) -> None:
        data = read_json(gt, "annotations")
        if isinstance(data, dict):
            data = {**data, "annotations": data.get("annotations") or []}
        data = read_annotations(data, form.items)
        self.items: dict[Any, Mapping[str, Any]] = {item["id"]: item for item in data[form.items]}
        self.categories = {category["id"] for category in data["categories"]}


def _guess(entries: list[Any]) -> str:
    first = next((entry for entry in entries if isinstance(entry, dict)), {})
    return "ytvis" if "video_id" in first or "segmentations" in first else "coco"


def _entry(where: str, entry: Any, form: _Format, truth: _Truth | None) -> Iterator[Problem]:
    if not isinstance(entry, dict):
        yield Problem(where, f"expected an object, got {type(entry).__name__}")
        return
    missing = [key for key in form.keys if key not in entry]
    if missing:
        found = ", ".join(map(str, entry)) or "none"
        yield Problem(where, f"lacks {', '.join(missing)} of the {form.name} format; its keys: {found}")
    for key in (form.item, "category_id"):
        if key in entry and not _is_id(entry[key]):
            yield Problem(where, f"expected an integer as {key}, got {entry[key]!r}")
    yield from _score(where, entry)
    item = None
    if truth is not None:
        if _is_id(entry.get(form.item)):
            item = truth.items.get(entry[form.item])
            if item is None:
                yield Problem(where, f"{form.item} {entry[form.item]} is not in the annotations")
        if _is_id(entry.get("category_id")) and entry["category_id"] not in truth.categories:
            yield Problem(where, f"category_id {entry['category_id']} is not in the annotations")
    size = [item["height"], item["width"]] if item is not None and "height" in item else None
    if form.masks in entry:
        masks = entry[form.masks]
        if form.masks == "segmentation":
            yield from _mask(where, masks, size)
        else:
            yield from _masks(where, masks, size, item)


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _score(where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    if "score" not in entry:
        return
    score = entry["score"]
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        yield Problem(where, f"expected a number as score, got {score!r}")
    elif not math.isfinite(score):
        yield Problem(where, f"score is not finite: {score}")
    elif not 0 <= score <= 1:
        yield Problem(where, f"score {score} is outside of 0..1", error=False)


def _masks(
    where: str, masks: Any, size: list[Any] | None, video: Mapping[str, Any] | None
) -> Iterator[Problem]:
    if not isinstance(masks, list):
        yield Problem(where, f"expected a list of masks as segmentations, got {type(masks).__name__}")
        return
    if video is not None:
        length = video.get("length", len(masks))
        if len(masks) != length:
            yield Problem(
                where, f"expected {length} masks, one for each frame of the video, got {len(masks)}"
            )
    if all(mask is None for mask in masks):
        yield Problem(where, "has no mask in any frame", error=False)
    sizes = set()
    for frame, mask in enumerate(masks):
        if mask is not None:
            yield from _mask(f"{where}, frame {frame}", mask, size)
            if isinstance(mask, dict) and isinstance(mask.get("size"), list):
                sizes.add(str(mask["size"]))
    if len(sizes) > 1:
        yield Problem(where, f"its masks differ in size: {', '.join(sorted(sizes))}")


def _mask(where: str, mask: Any, size: list[Any] | None) -> Iterator[Problem]:
    if isinstance(mask, list):
        yield Problem(where, "expected run lengths, got a list (polygons are for annotations only)")
        return
    if not isinstance(mask, dict):
        yield Problem(where, f"expected run lengths, got {type(mask).__name__}")
        return
    missing = [key for key in ("size", "counts") if key not in mask]
    if missing:
        yield Problem(where, f"run lengths lack {' and '.join(missing)}")
        return
    own = mask["size"]
    if not isinstance(own, (list, tuple)) or len(own) != 2 or not all(_is_id(n) and n > 0 for n in own):
        yield Problem(where, f"expected a size [height, width], got {own!r}")
        return
    if size is not None and list(own) != size:
        swapped = " (height and width swapped?)" if list(own)[::-1] == size else ""
        yield Problem(where, f"size is {list(own)}, the annotations say {size}{swapped}")
    yield from _counts(where, mask["counts"], int(own[0]) * int(own[1]))


def _counts(where: str, counts: Any, pixels: int) -> Iterator[Problem]:
    if isinstance(counts, list):
        yield Problem(where, "run lengths are not compressed: servers expect counts as a string")
        if not all(_is_id(n) and n >= 0 for n in counts):
            yield Problem(where, "expected counts that are integers of at least 0")
            return
        runs = [int(n) for n in counts]
    elif isinstance(counts, (str, bytes)):
        if isinstance(counts, bytes):
            yield Problem(where, "counts are bytes, which JSON can't hold: decode them as ASCII")
        try:
            runs = decompress(counts).tolist()
        except ValueError as error:
            yield Problem(where, str(error))
            return
    else:
        yield Problem(where, f"expected counts as a string, got {type(counts).__name__}")
        return
    total = sum(runs)
    if total != pixels:
        hint = ": truncated?" if total < pixels else ""
        yield Problem(where, f"run lengths sum to {total}, expected {pixels} pixels{hint}")
    elif not any(runs[1::2]):
        yield Problem(where, "the mask is empty", error=False)


def _whole(entries: list[Any], form: _Format, truth: _Truth | None) -> Iterator[Problem]:
    """What only shows over the whole file."""
    objects = [entry for entry in entries if isinstance(entry, dict)]
    ids = [(e.get(form.item), e.get("category_id")) for e in objects]
    counted = Counter((i, c) for i, c in ids if _is_id(i) and _is_id(c))
    most = MAX_DETECTIONS[-1]
    crowded = [key for key, number in counted.items() if number > most]
    if crowded:
        (item, category), number = crowded[0], counted[crowded[0]]
        yield Problem(
            "file",
            f"more than {most} results of one category in {len(crowded)} {form.items}, only the best {most} "
            f"count (first: {form.item} {item}, category {category}: {number})",
            error=False,
        )
    if truth is None:
        return
    absent = set(truth.items) - {i for i, _ in counted}
    if absent:
        yield Problem(
            "file",
            f"{len(absent)} of {len(truth.items)} {form.items} have no result (first: {min(absent)})",
            error=False,
        )
    used = {c for _, c in counted}
    if 0 in used and 0 not in truth.categories and {c + 1 for c in used if c is not None} <= truth.categories:
        yield Problem("file", "category ids look as if they were counted from 0; the annotations start at 1")
