"""Average precision of masks on COCO, by pycocotools (extra ``eval``)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..io.extras import import_extra
from . import entries
from .entries import DataError
from .files import read_measured
from .run_lengths import frame_runs
from .summary import Evaluation


def evaluate(gt: Any, results: Any, *, classes: Sequence[str] | None = None) -> Evaluation:
    """Measure masks in COCO format.

    Args:
        gt: annotations, path of a JSON file or the loaded object (a dict or a pycocotools COCO). Crowds are
            regions in which predictions don't count.
        results: path or loaded list of {"image_id", "category_id", "score", "segmentation"}, the mask as
            compressed or uncompressed run lengths, or polygons. A "bbox" is not used: areas are those of the
            masks.
        classes: measure in these classes; categories become them by name or by supercategory
            (:class:`.files.CategoryMap`). None: the categories of the file.

    Returns:
        The statistics as pycocotools computes them: areas 0..32², 32²..96² and above pixels. Areas that
        aren't given are those of the masks; an annotation of id 0 counts as any other (pycocotools takes the
        id for "no match").

    Raises:
        DataError: if a file isn't what it should be.
        ImportError: if pycocotools is missing.
    """
    coco_class, evaluator = import_pycocotools()
    data, found_results = read_measured(gt, results, "images", classes)
    if not data["categories"]:
        raise DataError("annotations: expected at least one category")
    categories = sorted(data["categories"], key=lambda category: category["id"])
    ids = tuple(category["id"] for category in categories)
    sizes = _sizes(data, found_results)
    truths, predictions = _truths(data, {*ids}, sizes), _predictions(found_results, {*ids}, sizes)
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = (_indexed(coco_class, data, part, sizes) for part in (truths, predictions))
        run = evaluator(truth, found, "segm")
        run.evaluate()
        run.accumulate()
    return Evaluation(
        "coco",
        tuple(str(category["name"]) for category in categories),
        ids,
        tuple(_count(truths, i) for i in ids),
        tuple(_count(predictions, i) for i in ids),
        run.eval["precision"],
        run.eval["recall"],
        run.eval["scores"],
    )


def import_pycocotools() -> tuple[Any, Any]:
    """pycocotools' COCO and COCOeval; ImportError that names the extra where it is missing."""
    coco, evaluator = (
        import_extra(f"pycocotools.{name}", "evaluation on COCO needs pycocotools", "eval")
        for name in ("coco", "cocoeval")
    )
    return coco.COCO, evaluator.COCOeval


def _truths(data: dict[str, Any], known: set[int], sizes: Mapping[Any, _Size]) -> list[dict[str, Any]]:
    """Annotations of known images and categories, as fresh dicts that pycocotools may write to."""
    kept: list[dict[str, Any]] = []
    for entry in data["annotations"]:
        if entry["image_id"] in sizes and entry["category_id"] in known:
            name = f"annotation {entry['id']}"
            found = _masked(entry, sizes, name, len(kept)) | {"iscrowd": entry["iscrowd"]}
            area = entries.area(entry.get("area"), name)
            kept.append(found if area is None else found | {"area": area})
    return kept


def _predictions(
    results: Sequence[dict[str, Any]], known: set[int], sizes: Mapping[Any, _Size]
) -> list[dict[str, Any]]:
    """Results of known categories, as fresh dicts that pycocotools may write to."""
    kept: list[dict[str, Any]] = []
    for result in results:
        if result["category_id"] in known:
            found = _masked(result, sizes, f"result {result['id']}", len(kept))
            kept.append(found | {"score": result["score"], "iscrowd": 0})
    return kept


def _masked(entry: Mapping[str, Any], sizes: Mapping[Any, _Size], name: str, before: int) -> dict[str, Any]:
    """What pycocotools reads of both. Numbers begin at 1: it takes the id 0 for "no match"."""
    size = sizes[entry["image_id"]]
    runs = _runs(entry, size, name)
    return {
        "id": before + 1,
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "area": float(runs[1::2].sum()),
        "segmentation": {"size": list(size or ()), "counts": _native.rle_compress(runs.astype(np.uint32))},
    }


_Size = tuple[int, int] | None


def _sizes(data: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[Any, _Size]:
    """Heights and widths of the images; of one that has none, those of its first run lengths."""
    sizes: dict[Any, _Size] = {
        image["id"]: (image["height"], image["width"]) if "height" in image else None
        for image in data["images"]
    }
    if None not in sizes.values():
        return sizes
    for entry in (*data["annotations"], *results):
        mask = entry.get("segmentation")
        image = entry.get("image_id")
        if image in sizes and sizes[image] is None and isinstance(mask, dict):
            found = mask.get("size")
            if isinstance(found, (list, tuple)) and len(found) == 2:
                own = entries.sized({"id": image, "height": found[0], "width": found[1]}, "image")
                sizes[image] = (own["height"], own["width"]) if "height" in own else None
    return sizes


def _runs(entry: Mapping[str, Any], size: _Size, name: str) -> NDArray[np.int64]:
    mask = entry.get("segmentation")
    if mask is None or (isinstance(mask, (list, str)) and not mask):
        raise DataError(f"{name}: expected a mask as 'segmentation', got {entries.said(mask)}")
    if size is None:
        raise DataError(f"image {entry['image_id']}: expected height and width, got nothing")
    try:
        return frame_runs(mask, *size)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def _indexed(
    coco_class: Any, data: dict[str, Any], part: list[dict[str, Any]], sizes: Mapping[Any, _Size]
) -> Any:
    coco = coco_class()
    images = [
        dict(zip(("id", "height", "width"), (i, *(size or (1, 1))), strict=True)) for i, size in sizes.items()
    ]
    coco.dataset = {"images": images, "categories": data["categories"], "annotations": part}
    coco.createIndex()
    return coco


def _count(entries: Sequence[dict[str, Any]], category: int) -> int:
    return sum(entry["category_id"] == category and not entry.get("iscrowd") for entry in entries)
