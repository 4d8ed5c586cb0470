"""Precision and recall of tracks on constructed videos whose answers follow from the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobileinst.evaluation.tracks import TrackCounts, evaluate, track_table
from tests.support.eval_data import annotations, box, results

A, B, C = box(20, 30, 0, 0, 6, 6), box(20, 30, 10, 12, 6, 6), box(20, 30, 12, 0, 6, 6)


def count(gt: dict[str, Any], found: list[Any], **options: Any) -> TrackCounts:
    (counts,) = evaluate(gt, found, **options).values()
    return counts


def test_true_false_followed_and_missed() -> None:
    gt = annotations([[A] * 6, [B] * 6])
    counts = count(gt, results([[A] * 6, [C] * 6]), fps=2)
    assert counts == TrackCounts(objects=2, followed=1, shown=2, true=1, minutes=6 / 2 / 60)
    assert (counts.precision, counts.recall) == (0.5, 0.5)
    assert counts.false_per_minute == pytest.approx(20)


@pytest.mark.parametrize(("hits", "true"), [(2, 0), (3, 1)])
def test_half_of_the_frames_decide(hits: int, true: int) -> None:
    counts = count(annotations([[A] * 6]), results([[A] * hits + [C] * (6 - hits)]))
    assert (counts.true, counts.followed) == (true, true)


def test_a_duplicate_is_false_and_a_new_id_is_not() -> None:
    close = box(20, 30, 0, 0, 6, 5)
    gt = annotations([[A] * 6])
    assert count(gt, results([[A] * 6, [close] * 6])).precision == 0.5
    renewed = count(gt, results([[A] * 3 + [None] * 3, [None] * 3 + [A] * 3]))
    assert (renewed.precision, renewed.recall) == (1, 1)


def test_a_track_that_jumps_between_objects_is_false() -> None:
    gt = annotations([[A] * 6, [B] * 6, [C] * 6])
    assert count(gt, results([[A] * 2 + [B] * 2 + [C] * 2])).true == 0


def test_crowds_are_not_judged() -> None:
    gt = annotations([[A] * 4, [B] * 4])
    gt["annotations"][1]["iscrowd"] = 1
    counts = count(gt, results([[A] * 4, [B] * 4]))
    # The track in the crowd is on no object; it is neither true nor false.
    assert (counts.objects, counts.followed, counts.shown, counts.true) == (1, 1, 1, 1)


@pytest.mark.parametrize("labelled", [None, True, False])
def test_labels_say_what_is_judged(labelled: bool | None) -> None:
    gt = annotations([[A] * 6])
    gt["categories"].append({"id": 2, "name": "car"})
    if labelled is not None:
        gt["videos"][0]["all_instances_labelled"] = labelled
    found = results([[A] * 6, [B] * 6, [C] * 6])
    found[2]["category_id"] = 2
    counts = evaluate(gt, found)
    assert (counts["cat"].objects, counts["cat"].recall) == (1, 1)
    assert counts["cat"].precision == (-1 if labelled is False else 0.5)
    # A class without annotations may be there unmarked, unless nothing is said of labels.
    assert counts["car"].shown == (1 if labelled is None else 0)
    assert (counts["car"].false_per_minute > 0) == (labelled is None)


def test_videos_add_up_and_have_their_own_rates() -> None:
    gt = annotations([[A] * 6])
    gt["videos"] = [gt["videos"][0] | {"id": i, "fps": fps} for i, fps in ((1, 6), (2, 3))]
    found = results([[A] * 6, [B] * 6])
    counts = count(gt, [*found, found[1] | {"video_id": 2}])
    assert counts == TrackCounts(1, 1, 3, 1, 3 / 60)
    assert counts.false_per_minute == pytest.approx(40)


def test_low_scores_and_wrong_options() -> None:
    gt, found = annotations([[A] * 2]), results([[A] * 2, [B] * 2], [0.9, 0.2])
    assert count(gt, found, score_threshold=0.5).precision == 1
    with pytest.raises(ValueError, match="frames a second above 0, got 0"):
        count(gt, found, fps=0)
    with pytest.raises(ValueError, match="IoU threshold above 0"):
        count(gt, found, iou_threshold=0)


def test_table_and_dict() -> None:
    counts = {"cat": TrackCounts(4, 3, 8, 6, 0.5), "car": TrackCounts(1)}
    lines = track_table(counts).splitlines()
    assert lines[2].split() == ["cat", "4", "3", "75.0", "8", "6", "75.0", "4.0"]
    assert lines[3].split() == ["car", "1", "0", "0.0", "0", "0", "-", "-"]
    assert counts["cat"].to_dict()["false_per_minute"] == 4
    assert np.isclose(counts["cat"].to_dict()["precision"], 0.75)
