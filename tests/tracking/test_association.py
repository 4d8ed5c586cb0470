"""A rule of association of one's own, given to the Tracker."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.evaluation.runner import ScoreRecorder
from mobileinst.tracking import Detections, Keyframe, Tracker, eligible, kernel_association, pair

THRESHOLDS = np.full(2, 0.5, np.float32)


def detections(*scores: float) -> Detections:
    """Candidates with kernels at right angles and masks of a row each."""
    count = len(scores)
    masks = np.zeros((count, 4, 4), np.bool_)
    masks[np.arange(count), np.arange(count)] = True
    return Detections(np.eye(4, dtype=np.float32)[:count], np.float32([[s, 0] for s in scores]), masks)


def swapped(tracker: Tracker, keyframe: Keyframe) -> list[tuple[int, int]]:
    """Against all similarity: the first track goes on with the second candidate and the other way round."""
    gain = 1 - np.eye(len(tracker.tracks), len(keyframe.detections), dtype=np.float32)
    return pair(gain, (gain > 0) & eligible(tracker, keyframe))


def test_an_own_rule_decides() -> None:
    usual, own = Tracker(iou_weight=0), Tracker(iou_weight=0, association=swapped)
    for tracker in (usual, own):
        for _ in range(2):
            tracker.update(detections(0.9, 0.8), THRESHOLDS)
    assert [track.detection for track in usual.visible] == [0, 1]
    assert [track.detection for track in own.visible] == [1, 0]
    assert [track.id for track in own.visible] == [1, 2]


def test_a_rule_sees_which_scores_suffice() -> None:
    tracker = Tracker(iou_weight=0, association=swapped)
    tracker.update(detections(0.9, 0.8), THRESHOLDS)
    tracker.update(detections(0.9, 0.3), THRESHOLDS)
    assert [track.missed for track in tracker.tracks] == [0, 0]
    tracker.update(detections(0.9, 0.2), THRESHOLDS)
    assert [track.missed for track in tracker.tracks] == [1, 0]
    tracker.update(detections(0.9, 0.3), THRESHOLDS)
    assert [track.missed for track in tracker.tracks] == [2, 0]


@pytest.mark.parametrize("pairs", [[(0, 0), (1, 0)], [(0, 0), (0, 1)], [(2, 0)], [(0, 2)], [(-1, 0)]])
def test_rules_that_are_not_one_to_one_are_refused(pairs: list[tuple[int, int]]) -> None:
    tracker = Tracker(association=lambda tracker, keyframe: pairs)
    tracker.update(detections(0.9, 0.8), THRESHOLDS)
    with pytest.raises(ValueError, match="one to one"):
        tracker.update(detections(0.9, 0.8), THRESHOLDS)


def test_evaluation_keeps_the_rule() -> None:
    assert ScoreRecorder.like(Tracker(association=swapped)).association is swapped
    assert Tracker().association is kernel_association
