"""Instances: arrays of length n >= 0 that stay together, and masks that survive their run lengths."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from mobileinst.results import Instances, encode


def make(masks: np.ndarray, ids: list[int] | None = None) -> Instances:
    count = len(masks)
    scores = np.linspace(0.9, 0.1, count)
    return Instances(masks.shape[1:], encode(masks), scores, np.arange(count), list("abcdef"[:count]), ids)


@pytest.fixture
def masks() -> np.ndarray:
    masks = np.zeros((3, 7, 9), np.bool_)
    masks[0, 1:4, 2:8] = True
    masks[1, 6, 8] = True
    masks[2] = np.random.default_rng(0).random((7, 9)) > 0.5
    return masks


def test_masks_boxes_and_areas_come_from_the_run_lengths(masks: np.ndarray) -> None:
    inst = make(masks)
    np.testing.assert_array_equal(inst.masks(), masks)
    np.testing.assert_array_equal(inst.mask(1), masks[1])
    assert inst.boxes[:2].tolist() == [[2, 1, 8, 4], [8, 6, 9, 7]]
    assert inst.areas.tolist() == masks.sum((1, 2)).tolist()
    assert (inst.boxes.dtype, inst.scores.dtype) == (np.float32, np.float32)
    assert (inst.ids.dtype, inst.labels.dtype) == (np.int64, np.int64)
    assert inst.ids.tolist() == [-1, -1, -1]
    assert inst.size == (7, 9)


def test_rle_is_cocos(masks: np.ndarray) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    for rle, mask in zip(make(masks).rle(), masks, strict=False):
        assert rle["size"] == [7, 9]
        assert isinstance(rle["counts"], str)
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle["counts"] == expected["counts"].decode()


def test_slicing_keeps_columns_together(masks: np.ndarray) -> None:
    inst = make(masks, [7, 5, 9])
    for index, expected in [
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([False, True, True]), [1, 2]),
        ([True, False, False], [0]),
        (np.array([2, 0]), [2, 0]),
        ([], []),
        (inst.scores > 1, []),
    ]:
        part = inst[index]
        assert len(part) == len(expected)
        assert part.names == [inst.names[i] for i in expected]
        for column in ("ids", "scores", "labels", "boxes", "areas"):
            np.testing.assert_array_equal(getattr(part, column), getattr(inst, column)[expected])
        np.testing.assert_array_equal(part.masks(), masks[expected])


def test_slices_do_not_share_arrays(masks: np.ndarray) -> None:
    inst = make(masks)
    part = inst[:2]
    part.scores[:] = 0
    part.names[0] = "changed"
    assert inst.scores[0] > 0
    assert inst.names[0] == "a"


def test_wrong_indices(masks: np.ndarray) -> None:
    inst = make(masks)
    for index in (3, np.array([True]), 1.5, ["a", 1], np.zeros((1, 3), np.bool_)):
        with pytest.raises(IndexError):
            inst[index]  # type: ignore[index]


def test_iteration_and_text(masks: np.ndarray) -> None:
    inst = make(masks, [7, -1, 9])
    assert [one.names for one in inst] == [["a"], ["b"], ["c"]]
    assert repr(inst) == "Instances(3 in 7x9: [#7 a 0.90, b 0.50, #9 c 0.10])"
    many = inst[[0] * 10]
    assert repr(many).endswith("and 2 more])")


def test_empty_has_length_zero_everywhere() -> None:
    inst = Instances.empty((4, 5))
    assert len(inst) == 0
    assert list(inst) == []
    assert inst.rle() == []
    assert inst.boxes.shape == (0, 4)
    assert inst.masks().shape == (0, 4, 5)
    assert inst.ids.shape == inst.scores.shape == inst.labels.shape == inst.areas.shape == (0,)
    assert len(inst[inst.scores > 0.5]) == 0


def test_contradictions_are_refused(masks: np.ndarray) -> None:
    runs = encode(masks)
    with pytest.raises(ValueError, match="expected 3 scores"):
        Instances((7, 9), runs, [0.5], [0, 1, 2], list("abc"))
    with pytest.raises(ValueError, match="expected 3 names"):
        Instances((7, 9), runs, [0.5] * 3, [0, 1, 2], list("ab"))
    with pytest.raises(ValueError, match="7 x 8 = 56 pixels, got 63"):
        Instances((7, 8), runs, [0.5] * 3, [0, 1, 2], list("abc"))
    with pytest.raises(ValueError, match="expected masks"):
        encode(masks[0])
    assert encode(masks[:0]) == []


def test_classes_choose_by_name(masks: np.ndarray) -> None:
    inst = make(masks, [7, 5, 9])
    assert inst["b"].ids.tolist() == [5]
    assert inst[["c", "a"]].ids.tolist() == [7, 9]
    assert len(inst["nothing"]) == 0


def test_polygons_lie_in_the_frame_where_the_masks_do(masks: np.ndarray) -> None:
    square, pixel, _ = make(masks).polygons(0)
    assert square[0].tolist() == [[2, 1], [8, 1], [8, 4], [2, 4]]
    assert pixel[0].tolist() == [[8, 6], [9, 6], [9, 7], [8, 7]]


def test_crops_are_the_boxes(masks: np.ndarray) -> None:
    image = np.random.default_rng(0).integers(1, 256, (7, 9, 3), np.uint8)
    inst = make(masks)
    np.testing.assert_array_equal(inst.crop(image)[0], image[1:4, 2:8])
    np.testing.assert_array_equal(inst.crop(image, margin=0.2)[0], image[0:5, 1:9])
    cut = inst.crop(image, background=(0, 0, 0))[2]
    x0, y0, x1, y1 = inst.boxes[2].astype(int)
    np.testing.assert_array_equal(cut.any(-1), masks[2, y0:y1, x0:x1])
    with pytest.raises(ValueError, match="belong to a frame of"):
        inst.crop(image[1:])


def test_draw_is_the_overlay(masks: np.ndarray) -> None:
    from mobileinst.drawing import draw

    image = np.zeros((7, 9, 3), np.uint8)
    inst = make(masks, [7, 5, 9])
    np.testing.assert_array_equal(inst.draw(image, labels=False), draw(image, inst, labels=False))
    assert inst.draw(image).any()


def test_json_brings_everything_back(masks: np.ndarray) -> None:
    inst = make(masks, [7, -1, 9])
    back = Instances.from_json(inst.to_json(), classes=["x", "c", "b", "a"])
    np.testing.assert_array_equal(back.masks(), masks)
    assert (back.ids.tolist(), back.names, back.labels.tolist()) == ([7, -1, 9], ["a", "b", "c"], [3, 2, 1])
    np.testing.assert_allclose(back.scores, inst.scores, atol=1e-4)
    assert Instances.from_dict(Instances.empty((4, 5)).to_dict()).size == (4, 5)


def test_json_of_another_form_is_refused(masks: np.ndarray) -> None:
    good = make(masks).to_dict()
    for change, message in [
        ({"score": 2}, "instance 0: its score"),
        ({"rle": {"size": [3, 3], "counts": "9"}}, "instance 0: its mask is of size"),
        ({"label": "dog"}, "instance 0: its label 'dog'"),
        ({"rle": 5}, "instance 0"),
    ]:
        bad = {**good, "instances": [{**good["instances"][0], **change}]}
        with pytest.raises(ValueError, match=message):
            Instances.from_dict(bad, classes=list("abc"))
    for bad in (
        {**good, "width": float("inf")},
        {**good, "height": -7},
        {**good, "height": 2**70, "instances": []},
        {**good, "instances": [None]},
        {**good, "instances": [{**good["instances"][0], "id": 2**70}]},
        {**good, "instances": [{**good["instances"][0], "rle": {"size": [7, 9], "counts": "\udcff"}}]},
        {**good, "instances": [{**good["instances"][0], "rle": {"size": [7, 9], "counts": [-1, 64]}}]},
        {**good, "instances": [{**good["instances"][0], "rle": {"size": [7, 9], "counts": -1}}]},
    ):
        with pytest.raises(ValueError, match=r"expected|instance 0"):
            Instances.from_dict(bad)
    with pytest.raises(ValueError, match="instance 0: it has no 'rle'"):
        Instances.from_dict({**good, "instances": [{"label": "a"}]})
    with pytest.raises(ValueError, match="expected an object with"):
        Instances.from_dict({"width": 3})


def test_supervision_gets_masks_scores_and_ids(masks: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    class Detections:
        def __init__(self, **columns: object) -> None:
            self.columns = columns

    module = types.ModuleType("supervision")
    module.Detections = Detections  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", module)
    columns = make(masks, [7, 5, 9]).to_supervision().columns
    np.testing.assert_array_equal(columns["mask"], masks)
    assert columns["tracker_id"].tolist() == [7, 5, 9]
    assert columns["data"]["class_name"].tolist() == ["a", "b", "c"]
    assert make(masks).to_supervision().columns["tracker_id"] is None
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r"mobileinst\[supervision\]"):
        make(masks).to_supervision()


@pytest.mark.parametrize(
    "runs",
    [
        [2**32 + 5, 58],
        [-1, 64],
        [2.5, 60.5],
        [2**70],
        np.array([2**32 + 5, 58]),
        np.array([-(2**32) + 63]),
        np.array([5.0, 58.0]),
        ["63"],
    ],
)
def test_run_lengths_never_wrap_around(runs: Any) -> None:
    record = {"rle": {"size": [7, 9], "counts": list(runs)}, "label": "a", "score": 0.5}
    with pytest.raises(ValueError, match="expected run lengths as integers of 0 to 4294967295"):
        Instances((7, 9), [runs], [0.5], [0], ["a"])
    with pytest.raises(ValueError, match="instance 0: expected run lengths as integers"):
        Instances.from_dict({"width": 9, "height": 7, "instances": [record]})


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_run_lengths_of_any_integers_are_taken(dtype: Any) -> None:
    found = Instances((7, 9), [np.array([5, 20, 38], dtype)], [0.5], [0], ["a"])
    assert found.areas.tolist() == [20]
