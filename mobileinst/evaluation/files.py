"""Annotation and results files: reading them with errors that name the place; categories made classes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class DataError(ValueError):
    """An annotation or results file that isn't what it should be; the message says what and where."""


def read_json(source: Any, what: str) -> Any:
    """The object itself, or what the JSON file at a path holds. `what` names it in errors."""
    if not isinstance(source, (str, os.PathLike)):
        # pycocotools' COCO objects carry the loaded file.
        return getattr(source, "dataset", source)
    path = Path(source)
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise DataError(f"{what} {path}: can't be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{what} {path}: not a JSON file: {error}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{what} {path}: not valid JSON (truncated?): {error}") from None


def read_annotations(source: Any, items: str) -> dict[str, Any]:
    """An annotation file with `items` ("images" or "videos"), "categories" and "annotations".

    Raises:
        DataError: if a key is missing or an id occurs twice.
    """
    data = read_json(source, "annotations")
    if not isinstance(data, dict):
        raise DataError(f"annotations: expected an object with {items}, got {type(data).__name__}")
    for key in (items, "categories", "annotations"):
        if not isinstance(data.get(key), list):
            found = ", ".join(sorted(map(str, data))) or "nothing"
            raise DataError(f"annotations: expected a list under {key!r}; the file has {found}")
        seen: set[Any] = set()
        for entry in data[key]:
            if not isinstance(entry, dict) or "id" not in entry:
                raise DataError(f"annotations: every entry of {key!r} needs an id, got {str(entry)[:80]}")
            if entry["id"] in seen:
                raise DataError(f"annotations: id {entry['id']} occurs twice in {key!r}")
            seen.add(entry["id"])
    return data


def read_results(source: Any) -> list[dict[str, Any]]:
    """A results file: a list of objects."""
    data = read_json(source, "results")
    if not isinstance(data, list):
        raise DataError(f"results: expected a list, got {type(data).__name__}")
    for index, entry in enumerate(data):
        if not isinstance(entry, dict):
            raise DataError(f"result {index}: expected an object, got {type(entry).__name__}")
    return data


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
        by_name = {category["name"]: int(category["id"]) for category in categories}
        supercategories = {category.get("supercategory") for category in categories}
        next_id = max((int(category["id"]) for category in categories), default=0) + 1
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
                to_id[int(category["id"])] = ids[name]
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


def collapse(
    data: dict[str, Any], results: list[dict[str, Any]], classes: Sequence[str] | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations and results in the classes of a model (`CategoryMap`); unchanged for None.

    Raises:
        DataError: if no category of the file is one of the classes, by name or supercategory.
    """
    if classes is None:
        return data, results
    mapping = CategoryMap.of(data["categories"], classes)
    if not mapping.names:
        raise DataError(
            f"none of the classes {', '.join(classes)} is a category or supercategory of the annotations"
        )
    return mapping.annotations(data), mapping.results(results)
