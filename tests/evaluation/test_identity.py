"""Identity measures on constructed videos whose answers follow from the definitions."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.evaluation import DataError
from mobileinst.evaluation.identity import IdentityCounts, best_class_only, evaluate
from tests.support.eval_data import annotations, box, results

A, B = box(20, 30, 0, 0, 6, 6), box(20, 30, 10, 12, 6, 6)


def test_perfect() -> None:
    counts = evaluate(annotations([[A] * 5, [B] * 5]), results([[A] * 5, [B] * 5]))
    assert counts == IdentityCounts(10, 10, 10, 0, 0, 10, 2, 2, 0)
    assert (counts.idf1, counts.mota, counts.id_precision, counts.id_recall) == (1, 1, 1, 1)


def test_swapped_identities() -> None:
    gt = annotations([[A] * 6, [B] * 6])
    counts = evaluate(gt, results([[A] * 2 + [B] * 4, [B] * 2 + [A] * 4]))
    assert counts.switches == 2
    assert counts.fragments == 0
    assert counts.matches == 12
    # One-to-one: A with the second track (4 frames), B with the first one (4).
    assert counts.identity_matches == 8
    assert counts.idf1 == pytest.approx(8 / 12)
    assert counts.mota == pytest.approx(1 - 2 / 12)


def test_new_identity_after_a_gap() -> None:
    gt = annotations([[A] * 6])
    counts = evaluate(gt, results([[A, A, None, None, None, None], [None, None, None, A, A, A]]))
    assert (counts.switches, counts.fragments, counts.misses) == (1, 1, 1)
    assert counts.identity_matches == 3
    assert counts.idf1 == pytest.approx(2 * 3 / (6 + 5))


def test_same_identity_after_a_gap() -> None:
    counts = evaluate(annotations([[A] * 6]), results([[A, A, None, A, None, A]]))
    assert (counts.switches, counts.fragments, counts.misses) == (0, 2, 2)
    assert counts.idf1 == pytest.approx(2 * 4 / (6 + 4))
    assert (counts.mostly_tracked, counts.mostly_lost) == (0, 0)


def test_absence_of_the_object_is_no_fragment() -> None:
    counts = evaluate(annotations([[A, A, None, None, A]]), results([[A, A, None, None, A]]))
    assert (counts.fragments, counts.switches, counts.idf1) == (0, 0, 1)


def test_a_pair_stays_while_it_fits() -> None:
    """A second track overlaps better later; the first still fits, so there is no switch."""
    close = box(20, 30, 0, 0, 6, 5)
    gt = annotations([[A] * 4])
    counts = evaluate(gt, results([[close] * 4, [None, None, A, A]]))
    assert (counts.switches, counts.false_positives) == (0, 2)


def test_false_positives_and_misses() -> None:
    counts = evaluate(annotations([[A] * 4]), results([[B] * 3 + [None]]))
    assert (counts.misses, counts.false_positives, counts.matches) == (4, 3, 0)
    assert counts.mota == pytest.approx(1 - 7 / 4)
    assert counts.idf1 == 0
    assert counts.mostly_lost == 1


def test_as_many_pairs_as_possible_before_the_greatest_overlap() -> None:
    """Greedy would pair the first object with the track that alone fits the second one."""
    height, width = 20, 60
    one, other = box(height, width, 0, 0, 1, 20), box(height, width, 0, 8, 1, 20)
    both = box(height, width, 0, 3, 1, 20)
    only_first = box(height, width, 0, 0, 1, 11)
    gt = annotations([[one], [other]], height, width)
    counts = evaluate(gt, results([[both], [only_first]]))
    # IoU: one/both 17/23, other/both 15/25, one/only_first 11/20, other/only_first 3/28.
    assert counts.matches == 2


def test_masks_in_a_crowd_are_left_out() -> None:
    crowd = box(20, 30, 8, 8, 12, 20)
    gt = annotations([[A] * 3, [crowd] * 3])
    gt["annotations"][1]["iscrowd"] = 1
    counts = evaluate(gt, results([[A] * 3, [B] * 3]))
    assert (counts.objects, counts.predictions, counts.false_positives) == (3, 3, 0)
    assert counts.idf1 == 1


def test_threshold_of_scores_and_classes() -> None:
    gt = annotations([[A] * 3])
    gt["categories"].append({"id": 2, "name": "dog", "supercategory": "animal"})
    found = results([[A] * 3, [B] * 3], [0.9, 0.2])
    assert evaluate(gt, found).false_positives == 3
    assert evaluate(gt, found, score_threshold=0.5).false_positives == 0
    found[0]["category_id"] = 2
    assert evaluate(gt, found).matches == 0
    assert evaluate(gt, found, any_class=True).matches == 3
    assert evaluate(gt, found, classes=["animal"]).matches == 3


def test_threshold_of_overlap() -> None:
    half = box(20, 30, 0, 0, 6, 3)
    gt, found = annotations([[A] * 2]), results([[half] * 2])
    assert evaluate(gt, found).matches == 2
    assert evaluate(gt, found, iou_threshold=0.51).matches == 0
    with pytest.raises(ValueError, match="above 0"):
        evaluate(gt, found, iou_threshold=0)


def test_without_objects_or_tracks() -> None:
    empty = evaluate(annotations([[A]]) | {"annotations": []}, [])
    assert empty == IdentityCounts()
    assert (empty.idf1, empty.mota) == (-1, -1)
    assert evaluate(annotations([[A]]), []).misses == 1
    lone = evaluate(annotations([[A]]) | {"annotations": []}, results([[A]]))
    assert (lone.false_positives, lone.idf1, lone.mota) == (1, 0, -1)


def test_each_track_in_its_best_class_only() -> None:
    found = [
        {"video_id": 1, "track_id": 4, "category_id": 1, "score": 0.2},
        {"video_id": 1, "track_id": 4, "category_id": 2, "score": 0.6},
        {"video_id": 2, "track_id": 4, "category_id": 1, "score": 0.1},
        {"video_id": 1, "category_id": 1, "score": 0.1},
        {"video_id": 1, "category_id": 2, "score": 0.1},
    ]
    assert best_class_only(found) == found[1:]


def test_results_that_are_wrong() -> None:
    gt = annotations([[A]])
    with pytest.raises(DataError, match="result 0: video_id 7 is not in the annotations"):
        evaluate(gt, [results([[A]])[0] | {"video_id": 7}])
    with pytest.raises(DataError, match="result 0: expected a finite number as score, got nothing"):
        evaluate(gt, [results([[A]])[0] | {"score": None}])


def test_counts_add_up() -> None:
    one, other = IdentityCounts(1, 2, 3, 4, 5, 6, 7, 8, 9), IdentityCounts(objects=10, tracks=1)
    total = one + other
    assert (total.objects, total.predictions, total.tracks) == (11, 2, 8)
    assert total.to_dict()["misses"] == 8


def test_identity_matches_equal_the_best_permutation() -> None:
    from itertools import permutations

    from mobileinst.evaluation.identity import _identity_matches

    rng = np.random.default_rng(0)
    for _ in range(20):
        together = rng.integers(0, 9, (3, 4))
        best = max(sum(together[i, p[i]] for i in range(3)) for p in permutations(range(4), 3))
        assert _identity_matches(together) == best
