"""How often one object is found twice: several predictions that a user is shown fit the same object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .entries import DataError
from .files import read_measured
from .run_lengths import MaskTrack, mask_ious, mask_track


@dataclass(frozen=True)
class DuplicateCounts:
    """objects: annotated (no crowds). found: of these, with at least one prediction that fits. duplicates:
    predictions beyond the first on one object, of which other_class have another class than the best one."""

    objects: int
    found: int
    duplicates: int
    other_class: int


def count(
    gt: Any,
    results: Any,
    *,
    classes: Sequence[str] | None = None,
    score_threshold: float = 0.0,
    iou_threshold: float = 0.5,
) -> DuplicateCounts:
    """Count duplicates in results in COCO format; classes don't matter for what fits.

    Args:
        gt, results, classes: as :func:`.coco.evaluate`.
        score_threshold: predictions of a lower score are not shown to a user and don't count.
        iou_threshold: a prediction fits the object of its greatest IoU, if that is at least this.

    Raises:
        DataError: as :func:`.coco.evaluate`.
    """
    data, predictions = read_measured(gt, results, "images", classes)
    known = {category["id"] for category in data["categories"]}
    images = {image["id"]: image for image in data["images"]}
    truths: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for truth in data["annotations"]:
        if not truth.get("iscrowd") and truth["category_id"] in known:
            truths[truth["image_id"]].append(truth)
    shown: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for result in predictions:
        if result["category_id"] in known and result["score"] >= score_threshold:
            shown[result["image_id"]].append(result)
    found = duplicates = other_class = 0
    for number, objects in truths.items():
        on_object = _fitting(objects, shown[number], images[number], iou_threshold)
        for on_one in on_object.values():
            best = max(on_one, key=lambda result: float(result["score"]))
            found += 1
            duplicates += len(on_one) - 1
            other_class += sum(result["category_id"] != best["category_id"] for result in on_one)
    return DuplicateCounts(sum(map(len, truths.values())), found, duplicates, other_class)


def _fitting(
    objects: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    image: Mapping[str, Any],
    iou_threshold: float,
) -> dict[int, list[Mapping[str, Any]]]:
    """Results by the index of the object that they fit."""
    on_object: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    if not results:
        return on_object
    masks = [_mask(result, image) for result in results]
    iou = np.array([mask_ious(_mask(truth, image), masks) for truth in objects])
    for j, result in enumerate(results):
        best = int(np.argmax(iou[:, j]))
        if iou[best, j] >= iou_threshold:
            on_object[best].append(result)
    return on_object


def _mask(entry: Mapping[str, Any], image: Mapping[str, Any]) -> MaskTrack:
    if "height" not in image:
        raise DataError(f"image {image['id']}: expected height and width, got nothing")
    try:
        return mask_track([entry.get("segmentation")], image["height"], image["width"])
    except ValueError as error:
        raise DataError(f"image {image['id']}: {error}") from None
