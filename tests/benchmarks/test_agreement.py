"""How agreement of two precisions is counted."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.agreement import compare_frames, format_table
from benchmarks.support.results import make_result
from mobileinst import Instances


def instances(ids: list[int], columns: list[tuple[int, int]]) -> Instances:
    """Masks that are columns [first, last) of a picture of 4x10 pixels."""
    runs = []
    for first, last in columns:
        lengths = [4 * first, 4 * (last - first)]
        runs.append(np.array(lengths + ([4 * (10 - last)] if last < 10 else []), np.uint32))
    count = len(ids)
    scores, labels = np.ones(count, np.float32), np.zeros(count, np.int64)
    return Instances((4, 10), runs, scores, labels, ["thing"] * count, np.array(ids, np.int64))


def test_each_object_is_paired_once_with_the_mask_that_overlaps_it_most() -> None:
    plain = instances([1, 2, 3], [(0, 4), (4, 8), (8, 10)])
    other = instances([2, 1], [(4, 6), (0, 4)])
    assert compare_frames(plain, other) == [
        (pytest.approx(1.0), True),
        (pytest.approx(0.5), True),
        (0.0, False),
    ]
    swapped = instances([1, 2], [(4, 8), (0, 4)])
    assert [same for _, same in compare_frames(plain, swapped)] == [False, False, False]
    assert compare_frames(plain, instances([], [])) == [(0.0, False)] * 3
    assert compare_frames(instances([], []), plain) == []


def test_the_table_weighs_clips_by_their_objects() -> None:
    clips = {
        "a.mp4": {"objects": 3, "iou": 0.9, "same_ids": 3},
        "b.mp4": {"objects": 1, "iou": 0.5, "same_ids": 0},
    }
    table = format_table(make_result("agreement", precision="int8", clips=clips))
    assert "| all | 4 | 0.800 | 3 |" in table
