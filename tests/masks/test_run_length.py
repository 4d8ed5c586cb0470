"""From logits to run lengths, COCO's text form, and maskness, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.masks.logits import run_lengths
from tests.support.definitions import TIERS, Array, bilinear


def encode(mask: NDArray[np.bool_]) -> list[int]:
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    return np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()


def blobs(height: int, width: int, seed: int) -> Array:
    """Smooth logits with a few regions on either side of 0."""
    rng = np.random.default_rng([seed, height, width])
    coarse = rng.standard_normal((max(height // 6, 1), max(width // 6, 1))).astype(np.float32)
    return 4 * bilinear(coarse, height, width)


SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (5, 4)),
    ((1, 6), (3, 17)),
    ((6, 1), (17, 3)),
    ((9, 16), (72, 128)),
    ((25, 42), (200, 333)),
    ((16, 70), (90, 131)),  # more columns than a word of 64 bits
    ((12, 64), (37, 64)),
    ((40, 30), (13, 7)),  # smaller than the logits
    ((20, 20), (20, 20)),
]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("size", "out"), SIZES)
def test_run_lengths_equal_thresholding_every_pixel(
    tier: str, size: tuple[int, int], out: tuple[int, int]
) -> None:
    rng = np.random.default_rng(5)
    smooth = [blobs(*size, seed) for seed in range(6)]
    noise = [rng.standard_normal(size).astype(np.float32) for _ in range(3)]
    exact = [rng.integers(-1, 2, size).astype(np.float32) for _ in range(3)]  # many values at the threshold
    flat = [np.full(size, value, np.float32) for value in (-1, 0, 1)]
    logits = np.stack(smooth + noise + exact + flat)
    for threshold in (0.0, -0.2006707, 1.0):
        got = _native.rle_from_logits(logits, *out, threshold, tier=tier)
        for runs, map_ in zip(got, logits, strict=True):
            assert runs.dtype == np.uint32
            assert runs.tolist() == encode(bilinear(map_, *out) > np.float32(threshold))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("size", "out"), SIZES)
def test_run_lengths_end_at_boxes(tier: str, size: tuple[int, int], out: tuple[int, int]) -> None:
    rng = np.random.default_rng(6)
    logits = np.stack([blobs(*size, seed) for seed in range(4)] + [np.ones(size, np.float32)] * 4)
    low = rng.integers(0, [out[1], out[0]], (8, 2))
    high = low + rng.integers(0, [out[1] + 2, out[0] + 2], (8, 2))
    boxes = np.concatenate([low, high], 1).astype(np.uint32)
    boxes[4:7] = [[0, 0, out[1], out[0]], [0, 2**32 - 1, 2**32 - 1, 2**32 - 1], [0, 0, 2**32 - 1, 1]]
    got = _native.rle_from_logits(logits, *out, 0.0, boxes, tier=tier)
    for runs, map_, (left, top, right, bottom) in zip(got, logits, boxes.tolist(), strict=True):
        inside = np.zeros(out, np.bool_)
        inside[top:bottom, left:right] = True
        assert runs.tolist() == encode((bilinear(map_, *out) > 0) & inside)


def test_boxes_of_masks_are_rounded_to_pixels_and_hold_at_least_one() -> None:
    boxes = np.array(
        [[0.1, 0.2, 0.6, 0.9], [0.301, 0.301, 0.302, 0.302], [-1, -1, 2, 2], [1, 1, 1, 1]], np.float32
    )
    found = run_lengths(np.ones((4, 2, 2), np.float32), (10, 20), 0.0, boxes)
    masks = [_native.rle_decode(runs, 10, 20) for runs in found]
    assert [int(mask.sum()) for mask in masks] == [7 * 10, 1, 200, 1]
    assert masks[0][2:9, 2:12].all()
    assert masks[1][3, 6]
    assert masks[3][9, 19]


def test_run_lengths_of_extreme_logits() -> None:
    logits = np.array([[[1e38, -1e38, 1e-45], [-1e38, 1e38, -1e-45], [0, 1e30, -1e30]]], np.float32)
    for tier in TIERS:
        runs = _native.rle_from_logits(logits, 3, 3, 0.0, tier=tier)[0]
        assert runs.tolist() == encode(logits[0] > 0)


def test_run_lengths_of_nothing_and_of_bad_input() -> None:
    assert _native.rle_from_logits(np.zeros((0, 3, 4), np.float32), 5, 5, 0.0) == []
    with pytest.raises(ValueError, match="height: expected 1 to 65535, got 0"):
        _native.rle_from_logits(np.zeros((1, 3, 4), np.float32), 0, 5, 0.0)
    with pytest.raises(ValueError, match="logits: expected finite values, got nan"):
        _native.rle_from_logits(np.full((1, 3, 4), np.nan, np.float32), 5, 5, 0.0)
    with pytest.raises(ValueError, match="logits: expected maps of at least 1x1"):
        _native.rle_from_logits(np.zeros((1, 0, 4), np.float32), 5, 5, 0.0)
    with pytest.raises(ValueError, match="boxes: expected"):
        _native.rle_from_logits(np.zeros((2, 3, 4), np.float32), 5, 5, 0.0, np.zeros((1, 4), np.uint32))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (25, 42), (90, 161)])
@pytest.mark.parametrize("threshold", [0.45, 0.2, 0.9])
def test_maskness(tier: str, size: tuple[int, int], threshold: float) -> None:
    maps = np.stack([blobs(*size, 1), blobs(*size, 2), np.full(size, -9, np.float32)])
    expected = []
    for map_ in maps:
        p = 1 / (1 + np.exp(-bilinear(map_, 2 * size[0], 2 * size[1]).astype(np.float64)))
        expected.append(p[p > threshold].mean() if (p > threshold).any() else 0)
    got = _native.maskness(maps, threshold, tier=tier)
    assert got.dtype == np.float32
    assert got[-1] == 0
    np.testing.assert_allclose(got, expected, atol=2e-3 if threshold > 0.5 else 2e-4)


def test_maskness_threshold_is_checked() -> None:
    with pytest.raises(ValueError, match="threshold_prob: expected a value between 0 and 1, got 1"):
        _native.maskness(np.zeros((1, 2, 2), np.float32), 1.0)


@pytest.mark.parametrize(
    "runs",
    [[0], [7], [0, 5], [3, 4, 5], [1, 2, 3, 4, 5], [0, 1, 31, 32, 33, 1000, 5, 100000, 1, 1], [2**32 - 1]],
)
def test_text_form_round_trip(runs: list[int]) -> None:
    text = _native.rle_compress(np.array(runs, np.uint32))
    assert _native.rle_decompress(text).tolist() == runs
    assert _native.rle_decompress(text.decode()).tolist() == runs


def test_text_form_equals_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (5, 7), (64, 48), (200, 333)]:
        mask = bilinear(rng.standard_normal((4, 5)).astype(np.float32), height, width) > 0
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        runs = np.array(encode(mask), np.uint32)
        assert _native.rle_compress(runs) == expected["counts"]
        assert (_native.rle_decode(runs, height, width) == mask).all()
        boxes, areas = _native.rle_boxes_areas([runs], height)
        x, y, w, h = coco.toBbox(expected)
        assert areas[0] == mask.sum()
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert boxes[0].tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert boxes[0].tolist() == [x, y, x + w, y + h]


@pytest.mark.parametrize("text", ["P", "00P", "\x00", "ooooooooo", "é", "00000o", b"\xff"])
def test_damaged_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        _native.rle_decompress(text)


def test_boxes_and_areas() -> None:
    runs = [
        np.array(r, np.uint32) for r in ([12], [0, 12], [1, 1, 10], [2, 2, 8], [5, 1, 1, 3, 2], [3, 0, 9])
    ]
    boxes, areas = _native.rle_boxes_areas(runs, 3)
    assert areas.tolist() == [0, 12, 1, 2, 4, 0]
    assert boxes.tolist() == [
        [0, 0, 0, 0],
        [0, 0, 4, 3],
        [0, 1, 1, 2],
        [0, 0, 2, 3],
        [1, 0, 4, 3],
        [0, 0, 0, 0],
    ]
    boxes, areas = _native.rle_boxes_areas([], 3)
    assert boxes.shape == (0, 4)
    assert areas.shape == (0,)


def test_decode_checks_the_sum() -> None:
    with pytest.raises(ValueError, match=r"counts: expected a sum of 12 pixels \(3x4\), got 11"):
        _native.rle_decode(np.array([5, 6], np.uint32), 3, 4)
    with pytest.raises(TypeError, match="counts: expected a uint32 array"):
        _native.rle_decode(np.array([5, 7]), 3, 4)
