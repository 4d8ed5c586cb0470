"""Annotations and results as others write them: measured with the right value, or refused by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mobileinst.evaluation import DataError, coco, identity, youtube_vis
from mobileinst.evaluation.files import read_json
from mobileinst.evaluation.run_lengths import polygon_runs
from mobileinst.evaluation.validate import validate

MASK = {"size": [20, 20], "counts": [42, 10, 10, 10, 328]}
GT: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 20}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [
        {
            "id": 7,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": MASK,
            "area": 20,
            "bbox": [0] * 4,
        }
    ],
}
RESULTS: list[dict[str, Any]] = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": MASK}]
VIDEO_GT: dict[str, Any] = {
    "videos": [{"id": 1, "height": 20, "width": 20, "length": 1, "file_names": ["a.png"]}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [{"id": 7, "video_id": 1, "category_id": 1, "segmentations": [MASK], "areas": [20]}],
}
VIDEO_RESULTS: list[dict[str, Any]] = [
    {"video_id": 1, "category_id": 1, "score": 0.9, "segmentations": [MASK]}
]
ABSENT = object()


def changed(data: Any, *path: Any, value: Any) -> Any:
    """A copy with the value at a path, or without it for ABSENT."""
    whole = copy.deepcopy(data)
    place = whole
    for key in path[:-1]:
        place = place[key]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


ANNOTATION, IMAGE, CATEGORY = ("annotations", 0), ("images", 0), ("categories", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((((*ANNOTATION, key), ABSENT)) for key in ("iscrowd", "area", "bbox", "id")),
        *((((*ANNOTATION, key), None)) for key in ("iscrowd", "area", "id")),
        *((((*ANNOTATION, "id"), value)) for value in ("7", "a7", 0, 7.0, -1, [7])),
        *((((*ANNOTATION, "iscrowd"), value)) for value in ("0", False, "", 0.0)),
        *((((*ANNOTATION, "area"), value)) for value in ("20", 20.0)),
        *((((*ANNOTATION, "image_id"), value)) for value in ("1", 1.0)),
        ((*ANNOTATION, "segmentation", "size"), [20.0, "20"]),
        ((*IMAGE, "file_name"), ABSENT),
        *((((*IMAGE, key), value)) for key in ("height", "width") for value in (ABSENT, None, "20", 20.0)),
        *((((*CATEGORY, "name"), value)) for value in (ABSENT, None, 5, "a\x08b")),
        *((((*CATEGORY, "id"), value)) for value in ("1", 1.0)),
    ],
)
def test_what_can_mean_one_thing_only_is_measured(path: tuple[Any, ...], value: Any) -> None:
    pytest.importorskip("pycocotools")
    assert coco.evaluate(changed(GT, *path, value=value), RESULTS)["AP"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ((*ANNOTATION, "image_id"), ABSENT, "annotation 7: expected an integer image_id, got nothing"),
        ((*ANNOTATION, "category_id"), "x", "annotation 7: expected an integer category_id, got 'x'"),
        ((*ANNOTATION, "iscrowd"), "yes", "annotation 7: expected 0 or 1 as iscrowd"),
        ((*ANNOTATION, "area"), float("nan"), "annotation 7: expected an area of at least 0, got nan"),
        ((*ANNOTATION, "area"), -5, "annotation 7: expected an area"),
        ((*ANNOTATION, "image_id"), 99, "none of the 1 annotations belongs to one of the images"),
        ((*ANNOTATION, "segmentation"), [], r"annotation 7: expected a mask .*, got \[\]"),
        ((*ANNOTATION, "segmentation"), None, "annotation 7: expected a mask .*, got nothing"),
        ((*ANNOTATION, "segmentation"), [[]], "annotation 7: expected a polygon of 3 or more points"),
        ((*ANNOTATION, "segmentation"), [[1, 1, 5, 5]], "annotation 7: expected a polygon of 3 or more"),
        ((*ANNOTATION, "segmentation"), [[1, 1, 9, 1, 9, 9, 4]], "annotation 7: expected a polygon of 3"),
        ((*ANNOTATION, "segmentation"), [[1, 1, 1e9, 1, 9, 9]], "annotation 7: .* can be traced"),
        ((*ANNOTATION, "segmentation"), [[1, 1, 1e300, 1, 9, 9]], "annotation 7: .* can be traced"),
        ((*ANNOTATION, "segmentation"), [[1, 1, float("inf"), 1, 9, 9]], "annotation 7: .* finite"),
        ((*ANNOTATION, "segmentation", "counts"), None, "annotation 7: expected counts"),
        ((*ANNOTATION, "segmentation", "counts"), [42, 10, 3280], "annotation 7: a run exceeds"),
        ((*ANNOTATION, "segmentation", "counts"), [2**63], "annotation 7: a run exceeds"),
        ((*ANNOTATION, "segmentation", "counts"), ABSENT, "annotation 7: .* keys size and counts"),
        ((*ANNOTATION, "segmentation", "size"), None, "annotation 7: expected a mask of"),
        ((*IMAGE, "height"), -1, "image 1: expected height and width of 1 to 65535 pixels, got -1"),
        ((*IMAGE, "height"), 2**70, "image 1: expected height and width"),
        ((*IMAGE, "id"), "front", "image #0: expected an integer id, got 'front'"),
        ((*CATEGORY, "id"), [], r"category #0: expected an integer id, got \[\]"),
        (CATEGORY, None, "category #0: expected an object, got nothing"),
    ],
)
def test_anything_else_is_refused_by_name(path: tuple[Any, ...], value: Any, says: str) -> None:
    pytest.importorskip("pycocotools")
    with pytest.raises(DataError, match=says):
        coco.evaluate(changed(GT, *path, value=value), RESULTS)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ((0, "category_id"), ABSENT, "result 0: expected an integer category_id, got nothing"),
        ((0, "score"), "high", "result 0: expected a finite number as score"),
        ((0, "segmentation"), ABSENT, "result 0: expected a mask"),
        ((0, "segmentation", "counts"), [42, 10], "result 0: run lengths sum to 52"),
        ((0, "segmentation", "counts"), [42, -10, 368], "result 0: .* negative length -10"),
        ((0, "segmentation", "counts"), [42.5, 10, 347.5], "result 0: expected counts"),
        ((0, "segmentation", "counts"), "Z1:", "result 0: "),
        ((0, "segmentation", "counts"), "é~~", "result 0: .* outside ASCII"),
        ((0, "segmentation", "counts"), "ooooo", "result 0: "),
        ((0, "image_id"), 5, "result 0: image_id 5 is not in the annotations"),
        ((0,), None, "result 0: expected an object, got NoneType"),
    ],
)
def test_results_are_refused_by_place(path: tuple[Any, ...], value: Any, says: str) -> None:
    pytest.importorskip("pycocotools")
    with pytest.raises(DataError, match=says):
        coco.evaluate(GT, changed(RESULTS, *path, value=value))


def test_polygons_of_both_forms() -> None:
    pytest.importorskip("pycocotools")
    flat = [1, 1, 9, 1, 9, 9]
    for form in (flat, [flat], [[str(value) for value in flat]]):
        found = coco.evaluate(
            changed(GT, *ANNOTATION, "segmentation", value=form),
            changed(RESULTS, 0, "segmentation", value=[flat]),
        )
        assert found["AP"] == pytest.approx(1)
    # Far outside of the image is fine, as far as it can be traced.
    assert int(polygon_runs([[-50, -50, 900, 1, 9, 900]], 20, 20)[1::2].sum()) > 0


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ((*ANNOTATION, "video_id"), ABSENT, "annotation 7: expected an integer video_id"),
        ((*ANNOTATION, "areas"), 5, "annotation 7: expected a list of areas, got 5"),
        ((*ANNOTATION, "segmentations"), [[[0, 0, 1e18, 0, 1, 1]]], "annotation 7: frame 0: .* traced"),
        (
            (*ANNOTATION, "segmentations"),
            [{"size": 5, "counts": [400]}],
            "annotation 7: frame 0: expected a mask",
        ),
        (("videos", 0, "height"), ABSENT, "video 1: expected height and width, got nothing"),
        (("videos", 0, "height"), -4, "video 1: expected height and width of 1"),
        (("videos", 0, "length"), "long", "video 1: expected a number of frames as length"),
        (("videos", 0, "file_names"), 3, "video 1: expected a list of names"),
    ],
)
def test_videos_are_refused_by_name(path: tuple[Any, ...], value: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        youtube_vis.evaluate(changed(VIDEO_GT, *path, value=value), VIDEO_RESULTS)


def test_an_annotation_of_id_0_counts_as_any_other() -> None:
    pytest.importorskip("pycocotools")
    assert coco.evaluate(changed(GT, *ANNOTATION, "id", value=0), RESULTS)["AP"] == pytest.approx(1)
    truth = changed(VIDEO_GT, *ANNOTATION, "id", value=0)
    assert youtube_vis.evaluate(truth, VIDEO_RESULTS)["AP"] == pytest.approx(1)
    assert identity.evaluate(truth, VIDEO_RESULTS).idf1 == 1


def test_categories_of_one_name_stay_apart() -> None:
    pytest.importorskip("pycocotools")
    found = coco.evaluate({**GT, "categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "x"}]}, RESULTS)
    assert list(found.per_class) == ["x (id 1)", "x (id 2)"]


def test_files_as_windows_and_others_write_them(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path.write_text(json.dumps({"é": 1}, ensure_ascii=False), encoding=encoding)
        assert read_json(path, "annotations") == {"é": 1}
    for content in (
        b'{"a": 1, "a": 2}',
        b"\xe9",
        b"[" * 200_000,
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": ',
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"annotations .*x\.json: "):
            read_json(path, "annotations")


def test_a_check_of_counts_that_no_integer_holds() -> None:
    problems = validate(changed(RESULTS, 0, "segmentation", "counts", value=[2**70]), GT)
    assert any(f"run lengths sum to {2**70}, expected 400 pixels" in str(problem) for problem in problems)
