"""Annotation and results files: reading them with errors that name the place; categories made classes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import entries
from .entries import DataError as DataError
from .entries import said


def read_json(source: Any, what: str) -> Any:
    """The object itself, or what the JSON file at a path holds. `what` names it in errors.

    UTF-8 with or without a byte order mark, UTF-16 and UTF-32 are read.

    Raises:
        DataError: if it can't be read, or an object in it has a key twice.
    """
    if not isinstance(source, (str, os.PathLike)):
        # pycocotools' COCO objects carry the loaded file.
        return getattr(source, "dataset", source)
    path = os.fspath(source)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise DataError(f"{what} {path}: an object has a key twice: {said(pairs)}")
        return found

    try:
        with open(path, "rb") as file:
            return json.loads(file.read(), object_pairs_hook=unique)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{what} {path}: can't be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise DataError(f"{what} {path}: not a JSON file: {str(error) or 'too large'}") from None
    except ValueError as error:
        raise DataError(f"{what} {path}: not valid JSON (truncated?): {error}") from None


def read_annotations(source: Any, items: str) -> dict[str, Any]:
    """An annotation file with `items` ("images" or "videos"), "categories" and "annotations", made uniform.

    Ids are integers, names text, iscrowd 0 or 1; heights and widths are integers or absent (:mod:`.entries`).

    Raises:
        DataError: if a key is missing, an id occurs twice or isn't one, or an entry contradicts itself.
    """
    data = read_json(source, "annotations")
    if not isinstance(data, dict):
        raise DataError(f"annotations: expected an object with {items}, got {type(data).__name__}")
    for key in (items, "categories", "annotations"):
        if not isinstance(data.get(key), list):
            found = ", ".join(sorted(map(str, data))) or "nothing"
            raise DataError(f"annotations: expected a list under {key!r}; the file has {found}")
    kind = items.removesuffix("s")
    found_items = [entries.sized(item, kind) for item in entries.identified(data[items], kind)]
    if kind == "video":
        found_items = [entries.long(video) for video in found_items]
    checked = {
        **data,
        items: found_items,
        "categories": entries.named(entries.identified(data["categories"], "category")),
        "annotations": entries.annotated(data["annotations"], f"{kind}_id"),
    }
    known = {item["id"] for item in found_items}
    own = [annotation[f"{kind}_id"] in known for annotation in checked["annotations"]]
    if own and known and not any(own):
        raise DataError(f"annotations: none of the {len(own)} annotations belongs to one of the {items}")
    return checked


def read_results(source: Any) -> list[dict[str, Any]]:
    """A results file: a list of objects, made uniform (:mod:`.entries`).

    Raises:
        DataError: if it is no such list, or an entry has no ids or no score.
    """
    data = read_json(source, "results")
    if not isinstance(data, list):
        raise DataError(f"results: expected a list, got {type(data).__name__}")
    return entries.results(data)


@dataclass(frozen=True)
class CategoryMap:
    """How the categories of an annotation file become the classes of a model.

    A category becomes the class of its own name, else the class of its supercategory's name, else it is left
    out: its annotations don't count, and neither does a prediction of it. So a model of "person", "vehicle"
    and "animal" can be measured on COCO.

    Attributes:
        names: the classes that at least one category maps to, in the model's order.
        ids: the category id of each: that of the category of the same name where there is one, else numbered
            on from the file's largest id.
        to_id: category id of the file (or of `ids`) -> id of its class.
        missing: classes that no category maps to.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    to_id: Mapping[int, int]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, categories: Sequence[Mapping[str, Any]], classes: Iterable[str]) -> CategoryMap:
        """Map `categories` (dicts with id, name and perhaps supercategory) to class names."""
        classes = list(classes)
        by_name = {category["name"]: category["id"] for category in categories}
        supercategories = {category.get("supercategory") for category in categories}
        next_id = max((category["id"] for category in categories), default=0) + 1
        ids: dict[str, int] = {}
        for name in classes:
            if name in by_name:
                ids[name] = by_name[name]
            elif name in supercategories:
                ids[name] = next_id
                next_id += 1
        to_id = {class_id: class_id for class_id in ids.values()}
        for category in categories:
            name = category["name"] if category["name"] in ids else str(category.get("supercategory"))
            if name in ids:
                to_id[category["id"]] = ids[name]
        # A supercategory of which each member is a class itself gets none.
        used = {name for name in ids if any(to_id.get(int(c["id"])) == ids[name] for c in categories)}
        names = tuple(name for name in classes if name in used)
        missing = tuple(name for name in classes if name not in used)
        kept = {old: new for old, new in to_id.items() if new in {ids[name] for name in names}}
        return cls(names, tuple(ids[name] for name in names), kept, missing)

    def annotations(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The annotation file in the model's classes (a new object; annotations are shallow copies)."""
        return {
            **data,
            "categories": [{"id": i, "name": n} for i, n in zip(self.ids, self.names, strict=True)],
            "annotations": [
                {**entry, "category_id": self.to_id[entry["category_id"]]}
                for entry in data["annotations"]
                if entry.get("category_id") in self.to_id
            ],
        }

    def results(self, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Results in the model's classes, None where there is none, so that their positions stay."""
        return [{**entry, "category_id": self.to_id.get(entry.get("category_id", -1))} for entry in results]


def read_measured(
    gt: Any, results: Any, items: str, classes: Sequence[str] | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations of `items` ("images" or "videos") and results for them, whose "id" is their place.

    Both are in the classes of a model (`CategoryMap`), or for None in their own categories.

    Raises:
        DataError: as `read_annotations` and `read_results`; if no category of the file is one of the classes,
            by name or supercategory; if a result is of none of the items.
    """
    data, found = read_annotations(gt, items), read_results(results)
    if classes is not None:
        mapping = CategoryMap.of(data["categories"], classes)
        if not mapping.names:
            raise DataError(
                f"none of the classes {', '.join(classes)} is a category or supercategory of the annotations"
            )
        data, found = mapping.annotations(data), mapping.results(found)
    key, known = f"{items.removesuffix('s')}_id", {item["id"] for item in data[items]}
    for index, result in enumerate(found):
        if result.get(key) not in known:
            raise DataError(f"result {index}: {key} {result.get(key)!r} is not in the annotations")
    return data, [{**result, "id": index} for index, result in enumerate(found)]
