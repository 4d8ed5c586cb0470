"""Counting objects that are found twice."""

from __future__ import annotations

import pytest

from mobileinst.evaluation import DataError
from mobileinst.evaluation.duplicates import DuplicateCounts, count
from tests.support.eval_data import box, rle

ONE, CLOSE, OTHER = (box(20, 30, 2, x, 8, 8) for x in (2, 3, 20))
GT = {
    "images": [{"id": 1, "height": 20, "width": 30}, {"id": 2, "height": 20, "width": 30}],
    "categories": [
        {"id": 1, "name": "cat", "supercategory": "animal"},
        {"id": 2, "name": "dog", "supercategory": "animal"},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": rle(ONE)},
        {"id": 2, "image_id": 1, "category_id": 2, "iscrowd": 0, "segmentation": rle(OTHER)},
        {"id": 3, "image_id": 2, "category_id": 1, "iscrowd": 1, "segmentation": rle(ONE)},
    ],
}


def result(mask: object, category: int = 1, score: float = 0.9, image: int = 1) -> dict:
    return {"image_id": image, "category_id": category, "score": score, "segmentation": rle(mask)}


def test_each_object_once() -> None:
    assert count(GT, [result(ONE), result(OTHER, 2), result(ONE, image=2)]) == DuplicateCounts(2, 2, 0, 0)


def test_duplicates_of_either_class() -> None:
    found = [result(ONE), result(CLOSE, score=0.5), result(CLOSE, 2, 0.4), result(OTHER, 2, 0.1)]
    assert count(GT, found) == DuplicateCounts(2, 2, 2, 1)
    assert count(GT, found, score_threshold=0.45) == DuplicateCounts(2, 1, 1, 0)
    assert count(GT, found, classes=["animal"]) == DuplicateCounts(2, 2, 2, 0)
    assert count(GT, found, iou_threshold=0.9) == DuplicateCounts(2, 2, 0, 0)
    assert count(GT, []) == DuplicateCounts(2, 0, 0, 0)


def test_results_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="result 0: image_id 5 is not"):
        count(GT, [result(ONE, image=5)])
    with pytest.raises(DataError, match=r"image 1: .*expected a mask of \[height, width\]"):
        count(GT, [result(ONE.T)])
