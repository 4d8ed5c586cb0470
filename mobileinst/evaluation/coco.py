"""Average precision of masks on COCO, by pycocotools (extra ``eval``)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .files import DataError, collapse, read_annotations, read_results
from .summary import Evaluation


def evaluate(gt: Any, results: Any, *, classes: Sequence[str] | None = None) -> Evaluation:
    """Measure masks in COCO format.

    Args:
        gt: annotations, path of a JSON file or the loaded object (a dict or a pycocotools COCO). Crowds are
            regions in which predictions don't count.
        results: path or loaded list of {"image_id", "category_id", "score", "segmentation"}, the mask as
            compressed or uncompressed run lengths. A "bbox" is not used: areas are those of the masks.
        classes: measure in these classes; categories become them by name or by supercategory
            (:class:`.files.CategoryMap`). None: the categories of the file.

    Returns:
        The statistics as pycocotools computes them: areas 0..32², 32²..96² and above pixels.

    Raises:
        DataError: if a file isn't what it should be.
        ImportError: if pycocotools is missing.
    """
    coco_class, evaluator, masks = _pycocotools()
    data, entries = collapse(read_annotations(gt, "images"), read_results(results), classes)
    if not data["categories"]:
        raise DataError("annotations: expected at least one category")
    predictions = _predictions(data, entries, masks)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class()
        truth.dataset = {**data, "annotations": [dict(entry) for entry in data["annotations"]]}
        truth.createIndex()
        found = truth.loadRes(predictions) if predictions else _nothing(coco_class, truth)
        run = evaluator(truth, found, "segm")
        run.evaluate()
        run.accumulate()
    categories = sorted(data["categories"], key=lambda category: category["id"])
    ids = tuple(category["id"] for category in categories)
    return Evaluation(
        "coco",
        tuple(str(category["name"]) for category in categories),
        ids,
        tuple(_count(data["annotations"], i) for i in ids),
        tuple(_count(predictions, i) for i in ids),
        run.eval["precision"],
        run.eval["recall"],
        run.eval["scores"],
    )


def _pycocotools() -> tuple[Any, Any, Any]:
    try:
        from pycocotools import mask
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ImportError(
            f'evaluation on COCO needs pycocotools: pip install "mobileinst[eval]" ({error})'
        ) from error
    return COCO, COCOeval, mask


def _predictions(data: dict[str, Any], results: Sequence[dict[str, Any]], masks: Any) -> list[dict[str, Any]]:
    """Results of the known categories, checked, as fresh dicts that pycocotools may write to."""
    images = {image["id"]: image for image in data["images"]}
    known = {category["id"] for category in data["categories"]}
    kept = []
    for index, result in enumerate(results):
        if result.get("image_id") not in images:
            raise DataError(f"result {index}: image_id {result.get('image_id')!r} is not in the annotations")
        score = result.get("score")
        if not isinstance(score, (int, float)) or not np.isfinite(score):
            raise DataError(f"result {index}: expected a finite number as score, got {score!r}")
        if result.get("category_id") not in known:
            continue
        image = images[result["image_id"]]
        mask = result.get("segmentation")
        if not isinstance(mask, dict) or "counts" not in mask or "size" not in mask:
            raise DataError(f"result {index}: expected a 'segmentation' of run lengths with size and counts")
        size = [image["height"], image["width"]]
        if list(mask["size"]) != size:
            raise DataError(f"result {index}: expected a mask of size {size}, got {list(mask['size'])}")
        if isinstance(mask["counts"], list):
            mask = masks.frPyObjects(mask, *size)
        kept.append(
            {
                "image_id": result["image_id"],
                "category_id": result["category_id"],
                "score": score,
                "segmentation": mask,
            }
        )
    return kept


def _nothing(coco_class: Any, truth: Any) -> Any:
    """No prediction at all, which loadRes can't read."""
    found = coco_class()
    found.dataset = {**truth.dataset, "annotations": []}
    found.createIndex()
    return found


def _count(entries: Sequence[dict[str, Any]], category: int) -> int:
    return sum(entry["category_id"] == category and not entry.get("iscrowd") for entry in entries)
