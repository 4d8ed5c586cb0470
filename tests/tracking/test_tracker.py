"""Association and identities on constructed sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mobileinst.masks.overlap import mask_iou, own_share, suppress_duplicates
from mobileinst.tracking import Detections, Tracker, associate_kernels, cosine_similarity
from mobileinst.tracking.assignment import linear_assignment

THRESHOLDS = np.array([0.4, 0.4], np.float32)
LOOKS = {
    "red": (1, 0, 0, 0.1),
    "green": (0, 1, 0, 0.1),
    "blue": (0, 0, 1, 0.1),
    "pink": (0.95, 0.1, 0.1, 0.1),
}
GRID = (12, 16)

#: What one keyframe sees: (look, column of its mask, score of class 0).
Seen = tuple[str, int, float]


def square(column: int) -> np.ndarray:
    mask = np.zeros(GRID, np.bool_)
    mask[3:8, max(column, 0) : column + 4] = True
    return mask


def detections(objects: list[Seen], label: int = 0) -> Detections:
    class_scores = np.zeros((len(objects), 2), np.float32)
    class_scores[:, label] = [score for _, _, score in objects]
    kernels = np.array([LOOKS[look] for look, _, _ in objects], np.float32).reshape(-1, 4)
    masks = np.array([square(column) for _, column, _ in objects], np.bool_).reshape(-1, *GRID)
    return Detections(kernels, class_scores, masks)


def run(tracker: Tracker, keyframes: list[list[Seen]]) -> list[dict[str, int]]:
    """For each keyframe: the id that each look got. Old kernels mask where their look stands now."""
    found = []
    for objects in keyframes:
        now = detections(objects)
        cosine = cosine_similarity(tracker.kernels(), now.kernels) if tracker.tracks and objects else None
        predicted = None
        if cosine is not None:
            predicted = np.stack([now.masks[cosine[i] > 0.9].any(0) for i in range(len(cosine))])
        visible = tracker.update(now, THRESHOLDS, predicted)
        found.append({objects[track.detection][0]: track.id for track in visible})
    return found


def test_association_equals_the_reference(shared: Path) -> None:
    with np.load(shared / "golden/sparseinst_losses/association.npz") as golden:
        for case in range(3):
            found = associate_kernels(golden[f"{case}/prev"], golden[f"{case}/cur"])
            np.testing.assert_array_equal(found, golden[f"{case}/cur_index_for_prev"])


def test_association_of_shuffled_kernels_is_the_shuffle() -> None:
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(100, 32))
    order = rng.permutation(100)
    noisy = 3 * kernels[order] + 0.1 * rng.normal(size=kernels.shape)
    np.testing.assert_array_equal(order[associate_kernels(kernels, noisy)], np.arange(100))


def test_association_of_unequal_numbers() -> None:
    eye = np.eye(4)
    assert associate_kernels(eye, eye[[2, 0]]).tolist() == [1, -1, 0, -1]
    assert associate_kernels(eye[[2, 0]], eye).tolist() == [2, 0]
    assert associate_kernels(np.zeros((2, 4)), np.zeros((0, 4))).tolist() == [-1, -1]


def test_association_rejects_what_it_cannot_compare() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 4\)"):
        associate_kernels(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="finite"):
        associate_kernels(np.full((2, 3), np.nan), np.ones((2, 3)))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9),
        elements=st.integers(-5, 5) | st.floats(-1e6, 1e6),
    )
)
def test_assignment_costs_no_more_than_scipys(cost: np.ndarray) -> None:
    scipy_optimize = pytest.importorskip("scipy.optimize")
    rows, columns = linear_assignment(cost)
    best = cost[scipy_optimize.linear_sum_assignment(cost)].sum()
    assert len(rows) == min(cost.shape) == len(set(columns.tolist()))
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert cost[rows, columns].sum() == pytest.approx(best, rel=1e-9, abs=1e-6)


def test_assignment_rejects_bad_costs() -> None:
    with pytest.raises(ValueError, match="shape"):
        linear_assignment([1, 2])
    with pytest.raises(ValueError, match="finite"):
        linear_assignment([[1, np.inf]])


def test_birth_needs_the_threshold_and_ids_count_from_one() -> None:
    found = run(Tracker(), [[("red", 0, 0.39)], [("red", 0, 0.41)], [("green", 8, 0.9), ("red", 0, 0.9)]])
    assert found == [{}, {"red": 1}, {"green": 2, "red": 1}]


def test_a_seen_track_goes_on_below_the_threshold() -> None:
    found = run(Tracker(keep_ratio=0.5), [[("red", 0, 0.5)], [("red", 0, 0.21)], [("red", 0, 0.19)]])
    assert found == [{"red": 1}, {"red": 1}, {}]


def test_a_missed_track_comes_back_by_the_whole_threshold_only() -> None:
    found = run(Tracker(), [[("red", 0, 0.5)], [], [("red", 0, 0.3)], [("red", 0, 0.5)]])
    assert found == [{"red": 1}, {}, {}, {"red": 1}]


def test_forgotten_after_the_documented_number_of_keyframes() -> None:
    def absence(keyframes: int) -> dict[str, int]:
        tracker = Tracker(forget_after=4)
        return run(tracker, [[("red", 0, 0.9)], *([[]] * keyframes), [("red", 0, 0.9)]])[-1]

    assert absence(4) == {"red": 1}
    assert absence(5) == {"red": 2}


def test_dead_tracks_are_dropped_and_ids_never_reused() -> None:
    tracker = Tracker(forget_after=0)
    ids = [run(tracker, [[("red", 0, 0.9)], []])[0]["red"] for _ in range(50)]
    assert ids == list(range(1, 51))
    assert tracker.tracks == []


def test_crossing_objects_of_different_looks_keep_their_ids() -> None:
    keyframes = [[("red", c, 0.9), ("green", 12 - c, 0.8)] for c in range(0, 13, 2)]
    shuffled = [objects[:: 1 if i % 2 else -1] for i, objects in enumerate(keyframes)]
    for tracker in (Tracker(), Tracker(iou_weight=0)):
        found = run(tracker, shuffled)
        assert all(ids == found[0] for ids in found)


def test_place_separates_objects_that_look_alike() -> None:
    """Kernels that swap their looks at once: by looks alone ids would swap, the masks say otherwise."""

    def second_keyframe(tracker: Tracker) -> list[int]:
        tracker.update(detections([("red", 0, 0.9), ("pink", 8, 0.9)]), THRESHOLDS)
        predicted = np.stack([square(1), square(9)])
        visible = tracker.update(detections([("pink", 1, 0.9), ("red", 9, 0.9)]), THRESHOLDS, predicted)
        return [track.detection for track in visible]

    assert second_keyframe(Tracker(iou_weight=1)) == [0, 1]
    assert second_keyframe(Tracker(iou_weight=0)) == [1, 0]


def test_a_different_look_is_a_new_object() -> None:
    found = run(Tracker(min_cosine=0.5), [[("red", 0, 0.9)], [("green", 0, 0.9)], [("red", 0, 0.9)]])
    assert found == [{"red": 1}, {"green": 2}, {"red": 1}]


def test_pairs_outside_the_gate_displace_nothing() -> None:
    tracker = Tracker(min_cosine=0.3, iou_weight=0)
    run(tracker, [[("red", 0, 0.9), ("green", 8, 0.9)]])
    assert run(tracker, [[("blue", 4, 0.9), ("green", 8, 0.9)]]) == [{"blue": 3, "green": 2}]


def test_label_follows_the_average_of_keyframes() -> None:
    tracker = Tracker()
    for label in (0, 0, 1, 0):
        (track,) = tracker.update(detections([("red", 0, 0.9)], label), THRESHOLDS)
        assert track.label == 0
    for _ in range(20):
        (track,) = tracker.update(detections([("red", 0, 0.9)], 1), THRESHOLDS)
    assert track.label == 1
    assert track.score == pytest.approx(0.9)


def test_another_class_continues_a_track_by_the_whole_threshold_only() -> None:
    tracker = Tracker()
    tracker.update(detections([("red", 0, 0.9)], 0), THRESHOLDS)
    assert tracker.update(detections([("red", 0, 0.3)], 1), THRESHOLDS) == []
    tracker = Tracker()
    tracker.update(detections([("red", 0, 0.9)], 0), THRESHOLDS)
    assert [track.id for track in tracker.update(detections([("red", 0, 0.5)], 1), THRESHOLDS)] == [1]


def test_a_part_of_a_better_candidate_is_no_new_track() -> None:
    both = [("red", 0, 0.9), ("green", 1, 0.5)]
    assert run(Tracker(), [both]) == [{"red": 1}]
    assert run(Tracker(min_own=0), [both]) == [{"red": 1, "green": 2}]
    apart = [("red", 0, 0.9), ("green", 8, 0.5)]
    assert run(Tracker(), [apart, both]) == [{"red": 1, "green": 2}] * 2  # it stays what it was


def test_a_union_of_tracked_objects_is_no_new_track() -> None:
    """A candidate over two tracked objects is refused unless its score is far better."""
    tracker = Tracker()
    two = [("red", 0, 0.45), ("green", 8, 0.45)]
    run(tracker, [two])
    for score, ids in ((0.6, [1, 2]), (1.0, [1, 2, 3])):
        now = detections([*two, ("blue", 0, score)])
        now.masks[2] |= now.masks[1]
        predicted = now.masks[:2]
        assert [track.id for track in tracker.update(now, THRESHOLDS, predicted)] == ids


def test_ids_do_not_jump_across_the_picture() -> None:
    """The same look elsewhere, where neither the old mask nor the old kernel reaches: another object."""

    def second_keyframe(tracker: Tracker) -> list[int]:
        tracker.update(detections([("red", 0, 0.9)]), THRESHOLDS)
        predicted = np.stack([square(1)])
        return [t.id for t in tracker.update(detections([("red", 10, 0.9)]), THRESHOLDS, predicted)]

    assert second_keyframe(Tracker()) == [2]
    assert second_keyframe(Tracker(min_overlap=0)) == [1]
    assert second_keyframe(Tracker(iou_weight=0)) == [1]


def test_a_similar_look_does_not_take_the_id_of_one_that_left() -> None:
    seen = detections([("red", 0, 0.9)])
    between = Detections(np.array([[0.7, 0.7, 0, 0]], np.float32), seen.class_scores, seen.masks)
    for limit, expected in ((0.6, 1), (0.8, 2)):
        tracker = Tracker(return_cosine=limit, iou_weight=0)
        run(tracker, [[("red", 0, 0.9)], []])
        assert [track.id for track in tracker.update(between, THRESHOLDS)] == [expected]


def test_masks_between_keyframes_say_where_a_track_is() -> None:
    tracker = Tracker()
    tracker.update(detections([("red", 0, 0.9)]), THRESHOLDS)
    tracker.follow(np.stack([square(10)]))
    nowhere = np.zeros((1, *GRID), np.bool_)
    assert [t.id for t in tracker.update(detections([("red", 11, 0.9)]), THRESHOLDS, nowhere)] == [1]


def test_options_make_an_equal_tracker() -> None:
    options = {
        "min_cosine": 0.1,
        "iou_weight": 2.0,
        "min_overlap": 0.2,
        "keep_ratio": 0.9,
        "min_own": 0.4,
        "return_cosine": 0.8,
        "forget_after": 3,
    }
    assert Tracker(**options).options == options  # type: ignore[arg-type]
    assert Tracker(**Tracker().options).options == Tracker().options


def test_thresholds_of_each_class_count() -> None:
    thresholds = np.array([0.9, 0.2], np.float32)
    tracker = Tracker()
    assert tracker.update(detections([("red", 0, 0.8)], 0), thresholds) == []
    assert len(tracker.update(detections([("red", 0, 0.3)], 1), thresholds)) == 1


def test_keyframes_come_every_third_frame_and_when_the_size_changes() -> None:
    tracker = Tracker()
    sizes = [(4, 6)] * 7 + [(8, 6)] * 3
    due = [tracker.next_frame(size, 3) for size in sizes]
    assert due == [True, False, False, True, False, False, True, True, False, False]
    assert [Tracker().next_frame((1, 1), 1) for _ in range(2)] == [True, True]


def test_interleaved_streams_do_not_touch() -> None:
    first, second = Tracker(), Tracker()
    for column in range(5):
        assert run(first, [[("red", column, 0.9)]]) == [{"red": 1}]
        assert run(second, [[("green", 9, 0.9), ("red", column, 0.9)]]) == [{"green": 1, "red": 2}]
    first.reset()
    assert run(first, [[("blue", 0, 0.9)]]) == [{"blue": 1}]


def test_a_tracker_serves_one_model() -> None:
    tracker = Tracker()
    run(tracker, [[("red", 0, 0.9)]])
    other = Detections(
        np.ones((1, 7), np.float32), np.ones((1, 2), np.float32), np.ones((1, *GRID), np.bool_)
    )
    with pytest.raises(ValueError, match="length 4 and 2 classes, got 7"):
        tracker.update(other, THRESHOLDS)


@pytest.mark.parametrize(
    "parameters",
    [
        {"min_cosine": 2},
        {"iou_weight": -1},
        {"iou_weight": float("inf")},
        {"keep_ratio": "0.5"},
        {"keep_ratio": 0},
        {"min_own": 2},
        {"return_cosine": 2},
        {"min_overlap": -1},
        {"forget_after": -1},
        {"forget_after": 1.5},
    ],
)
def test_parameters_are_checked(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters))):
        Tracker(**parameters)  # type: ignore[arg-type]


def test_mask_iou() -> None:
    a = np.stack([square(0), square(8), np.zeros(GRID, np.bool_)])
    b = np.stack([square(2), np.zeros(GRID, np.bool_)])
    np.testing.assert_allclose(mask_iou(a, b), [[10 / 30, 0], [0, 0], [0, 0]], atol=1e-7)
    with pytest.raises(ValueError, match="expected masks"):
        mask_iou(a, b[:, :4])


def test_duplicates_go_by_score() -> None:
    masks = np.stack([square(0), square(0), square(2), square(9)])
    scores = np.array([0.3, 0.9, 0.5, 0.1], np.float32)
    assert suppress_duplicates(scores, masks, 0.7).tolist() == [1, 2, 3]
    assert suppress_duplicates(scores, masks, 1).tolist() == [1, 2, 0, 3]
    assert suppress_duplicates(scores, masks, 0.2).tolist() == [1, 3]
    assert suppress_duplicates(scores[:0], masks[:0], 0.7).tolist() == []


def test_own_share_is_what_better_masks_leave() -> None:
    masks = np.stack([square(0), square(2), square(0), np.zeros(GRID, np.bool_)])
    scores = np.array([0.3, 0.9, 0.3, 0.1], np.float32)
    np.testing.assert_allclose(own_share(scores, masks), [0.5, 1, 0, 0])
    assert own_share(scores[:0], masks[:0]).shape == (0,)
