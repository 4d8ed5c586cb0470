"""Instances: arrays of length n >= 0 that stay together, and masks that survive their run lengths."""

from __future__ import annotations

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
    for index in (3, np.array([True]), 1.5, "scores", np.zeros((1, 3), np.bool_)):
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
