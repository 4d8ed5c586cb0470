"""Masks as intervals: decoding, polygons and overlaps against pycocotools and dense masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileinst.evaluation.run_lengths import (
    decompress,
    frame_intersections,
    frame_runs,
    mask_ious,
    mask_track,
    polygon_runs,
)
from tests.support.eval_data import rle, runs_of

seeds = st.integers(0, 2**32 - 1)


def random_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros((height, width), bool)
    if kind == 1:
        return np.ones((height, width), bool)
    return rng.random((height, width)) < rng.random()


@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_decompress_reverses_pycocotools(seed: int, height: int, width: int) -> None:
    mask_tools = pytest.importorskip("pycocotools.mask")
    mask = random_mask(np.random.default_rng(seed), height, width)
    counts = mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert decompress(counts).tolist() == runs_of(mask)
    assert decompress(counts.decode()).tolist() == runs_of(mask)


def test_decompress_of_long_runs() -> None:
    mask_tools = pytest.importorskip("pycocotools.mask")
    counts = [0, 5000 * 3000, 1, 2**25, 40, 3]
    coded = mask_tools.frPyObjects({"size": [1, sum(counts)], "counts": counts}, 1, sum(counts))
    assert decompress(coded["counts"]).tolist() == counts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2", "code 32 at position 1"),
        ("12\x7f", "code 127 at position 2"),
        ("é", "characters outside ASCII"),
        ("5P", "end within a number"),
        ("P" * 9 + "0", "at most 7 characters"),
        ("O", "run 0 would be -1"),
    ],
)
def test_decompress_refuses(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decompress(text)


@given(seeds, st.integers(1, 50), st.integers(1, 50), st.integers(1, 3))
def test_polygons_fill_the_same_pixels_as_pycocotools(
    seed: int, height: int, width: int, number: int
) -> None:
    mask_tools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    polygons = []
    for _ in range(number):
        # Some points are outside of the image, some coincide, some have whole coordinates.
        points = rng.uniform(-0.2, 1.2, (rng.integers(3, 9), 2)) * [width, height]
        if rng.random() < 0.3:
            points = np.round(points)
        if rng.random() < 0.3:
            points = np.concatenate([points, points[:1]])
        polygons.append(points.ravel().tolist())
    merged = decompress(mask_tools.merge(mask_tools.frPyObjects(polygons, height, width))["counts"])
    expected = np.repeat(np.arange(len(merged)) % 2 == 1, merged).reshape(width, height).T
    assert polygon_runs(polygons, height, width).tolist() == runs_of(expected)


@pytest.mark.parametrize(
    "points", [[0, 0, 1, 1], [0, 0, 1, 1, 2, 2, 3], [0, 0, 1, float("nan"), 2, 2], ["a"]]
)
def test_polygons_that_are_none(points: list[float]) -> None:
    with pytest.raises(ValueError, match="polygon"):
        polygon_runs([points], 5, 5)


@given(seeds, st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 5))
def test_intersections_are_those_of_dense_masks(
    seed: int, height: int, width: int, frames: int, others: int
) -> None:
    rng = np.random.default_rng(seed)

    def make() -> tuple[np.ndarray, list[dict | None]]:
        masks = np.stack([random_mask(rng, height, width) for _ in range(frames)])
        coded = []
        for frame in range(frames):
            absent = rng.random() < 0.2
            masks[frame] &= not absent
            coded.append(None if absent else rle(masks[frame], compressed=rng.random() < 0.5))
        return masks, coded

    one, coded_one = make()
    many = [make() for _ in range(others)]
    track = mask_track(coded_one, height, width)
    tracks = [mask_track(coded, height, width) for _, coded in many]
    expected = np.array([(one & masks).sum((1, 2)) for masks, _ in many]).reshape(others, frames)
    np.testing.assert_array_equal(frame_intersections(track, tracks), expected)
    unions = [int((one | masks).sum()) for masks, _ in many]
    ious = [shared / union if union else 0.0 for shared, union in zip(expected.sum(1), unions, strict=True)]
    np.testing.assert_array_equal(mask_ious(track, tracks), ious)
    assert track.areas.tolist() == one.sum((1, 2)).tolist()
    assert track.present.tolist() == [mask is not None for mask in coded_one]
    seen = one.sum((1, 2))[one.any((1, 2))]
    assert track.mean_area == (seen.mean() if len(seen) else 0)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ({"size": [2, 2], "counts": [4]}, r"\[height, width\] = \[2, 3\], its size is \[2, 2\]"),
        ({"size": [2, 3], "counts": [4]}, "sum to 4, expected 2 x 3 = 6"),
        ({"size": [2, 3], "counts": [8, -2]}, "negative"),
        ({"size": [2, 3], "counts": [1.5, 4.5]}, "integers"),
        ({"size": [2, 3]}, "keys size and counts"),
        ("abc", "expected run lengths"),
    ],
)
def test_masks_that_do_not_fit(mask: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        frame_runs(mask, 2, 3)
    with pytest.raises(ValueError, match=f"frame 1: .*{says}"):
        mask_track([None, mask], 2, 3)
