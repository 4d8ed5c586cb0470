"""The validator: good files pass, and each kind of damage is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.evaluation.validate import validate
from mobileinst.io.problems import Problem
from tests.support.eval_data import annotations, box, results, rle

MASK = box(20, 30, 2, 3, 4, 5)
COCO = {
    "images": [{"id": 5, "height": 20, "width": 30}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [],
}


def coco_result(**changes: Any) -> dict[str, Any]:
    return {"image_id": 5, "category_id": 1, "score": 0.5, "segmentation": rle(MASK)} | changes


def video_result(**changes: Any) -> dict[str, Any]:
    return results([[MASK, None, MASK]])[0] | changes


VIDEOS = annotations([[MASK, MASK, None]])


def said(problems: list[Problem], error: bool | None = None) -> str:
    return "\n".join(str(p) for p in problems if error is None or p.error == error)


def test_good_files() -> None:
    assert validate([coco_result()], COCO) == []
    assert validate([video_result()], VIDEOS) == []
    assert validate([video_result()]) == []


def test_test_sets_come_without_annotations(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps({k: v for k, v in COCO.items() if k != "annotations"}))
    (tmp_path / "r.json").write_text(json.dumps([coco_result()]))
    assert validate(tmp_path / "r.json", tmp_path / "gt.json") == []


def test_golden_results_are_good(shared: Path) -> None:
    folder = shared / "golden" / "ytvos_eval"
    problems = validate(folder / "results.json", folder / "gt.json")
    assert said(problems, error=True) == ""


def lacking(key: str) -> dict[str, Any]:
    return {k: v for k, v in coco_result().items() if k != key}


def run_lengths(**changes: Any) -> dict[str, Any]:
    return {"segmentation": rle(MASK) | changes}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (7, "result 1: expected an object, got int"),
        (lacking("score"), "result 1: lacks score of the COCO format; its keys: image_id, category_id, segm"),
        (coco_result(image_id="5"), "result 1: expected an integer as image_id, got '5'"),
        (coco_result(image_id=6), "result 1: image_id 6 is not in the annotations"),
        (coco_result(category_id=0), "result 1: category_id 0 is not in the annotations"),
        (coco_result(category_id=True), "result 1: expected an integer as category_id, got True"),
        (coco_result(score=float("nan")), "result 1: score is not finite: nan"),
        (coco_result(score="0.5"), "result 1: expected a number as score, got '0.5'"),
        (coco_result(segmentation=[[1, 1, 5, 1, 5, 5]]), "result 1: expected run lengths, got a list"),
        (coco_result(segmentation=None), "result 1: expected run lengths, got NoneType"),
        (coco_result(segmentation={"size": [20, 30]}), "result 1: run lengths lack counts"),
        (coco_result(segmentation=rle(MASK.T)), "size is [30, 20], the annotations say [20, 30] (height and"),
        (coco_result(**run_lengths(size=[600])), "expected a size [height, width], got [600]"),
        (
            coco_result(**run_lengths(size=[20, 31])),
            "run lengths sum to 600, expected 620 pixels: truncated?",
        ),
        (coco_result(**run_lengths(counts=rle(MASK)["counts"][:-1])), "end within a number"),
        (coco_result(**run_lengths(counts="é")), "characters outside ASCII"),
        (coco_result(**run_lengths(counts=[600])), "run lengths are not compressed"),
        (coco_result(**run_lengths(counts=[601, -1])), "expected counts that are integers of at least 0"),
        (coco_result(**run_lengths(counts=rle(MASK)["counts"].encode())), "counts are bytes"),
        (coco_result(**run_lengths(counts=3)), "expected counts as a string, got int"),
    ],
)
def test_errors_of_coco_results(entry: Any, says: str) -> None:
    problems = validate([coco_result(), entry], COCO, "coco")
    assert says in said(problems, error=True)
    assert "result 0" not in said(problems)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            video_result(segmentations=[None, rle(MASK)]),
            "expected 3 masks, one for each frame of the video, g",
        ),
        (video_result(segmentations={}), "expected a list of masks as segmentations, got dict"),
        (
            video_result(segmentations=[None, rle(MASK), 4]),
            "result 0, frame 2: expected run lengths, got int",
        ),
        (
            video_result(segmentations=[rle(MASK), rle(np.ones((9, 9), bool)), None]),
            "its masks differ in size: [20, 30], [9, 9]",
        ),
        (coco_result(), "lacks video_id, segmentations of the YouTube-VIS format"),
    ],
)
def test_errors_of_video_results(entry: Any, says: str) -> None:
    assert says in said(validate([entry], VIDEOS, "ytvis"), error=True)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([coco_result(score=1.5)], "score 1.5 is outside of 0..1"),
        ([coco_result(segmentation=rle(MASK & False))], "result 0: the mask is empty"),
        ([], "the list of results is empty"),
        ([coco_result()] * 101, "more than 100 results of one category in 1 images, only the best 100 count"),
    ],
)
def test_warnings(entries: list[Any], says: str) -> None:
    problems = validate(entries, COCO)
    assert says in said(problems, error=False)
    assert not said(problems, error=True)


def test_what_shows_over_the_whole_file() -> None:
    two = COCO | {"images": [*COCO["images"], {"id": 9, "height": 20, "width": 30}]}
    assert "1 of 2 images have no result (first: 9)" in said(validate([coco_result()], two), error=False)
    shifted = [coco_result(category_id=0), coco_result(category_id=1)]
    assert "counted from 0" in said(validate(shifted, COCO), error=True)
    assert "no mask in any frame" in said(validate([video_result(segmentations=[None] * 3)], VIDEOS))


def test_files_that_are_no_results(tmp_path: Path) -> None:
    assert 'list under "annotations"' in said(validate({"annotations": []}))
    (tmp_path / "cut.json").write_text('[{"image_id": 5, "cat')
    assert "not valid JSON (truncated?)" in said(validate(tmp_path / "cut.json"))
    with pytest.raises(ValueError, match="'coco' or 'ytvis'"):
        validate([], kind="voc")
