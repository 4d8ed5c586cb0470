"""The benchmark of whole frames: masks, post-processing, ratios."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import frame, pipeline
from benchmarks.support import objects


def test_boxed_masks_equal_full_ones() -> None:
    pytest.importorskip("cv2")
    generator = np.random.default_rng(3)
    logits = np.full((12, 20), -3.0, np.float32)
    logits[3:8, 5:13] = generator.uniform(-1, 4, (5, 8)).astype(np.float32)
    full, boxed = pipeline.full_mask(logits, 96, 150), pipeline.boxed_mask(logits, 96, 150)
    assert full.any()
    # OpenCV's warp rounds its coefficients to 1/32
    assert (full != boxed).mean() < 0.005
    assert not pipeline.boxed_mask(np.full((4, 4), -9.0, np.float32), 8, 8).any()


def test_placed_objects_are_as_many_as_wanted_and_no_duplicates() -> None:
    made = objects.ellipses(3, (30, 54))
    assert all(x.shape == (30, 54) and x.dtype == np.float32 for x in made)
    placed = objects.place(made, 40)
    assert placed.shape == (40, 30, 54)
    np.testing.assert_array_equal(placed[:3], made)
    masks = placed > objects.MASK_LOGIT
    assert masks.any((1, 2)).all()
    overlap = objects.mask_iou(masks, masks) - np.eye(40)
    assert 0 < overlap.max() <= objects.MOST_OVERLAP
    with pytest.raises(ValueError, match="2 objects find no room, only 0 do"):
        objects.place([], 2)
    with pytest.raises(ValueError, match="find no room"):
        objects.place([np.full((4, 4), 5, np.float32)], 9)


def test_objects_are_what_the_default_weights_find(shared: Path) -> None:
    pytest.importorskip("cv2")
    pictures = [x for x in objects.shared_pictures() if x.suffix == ".mp4"]
    found = objects.found_objects(map(objects.read_picture, pictures), (192, 320))
    assert len(found) >= 2
    for logits in found:
        assert logits.shape == (24, 40)
        assert 0.001 < (logits > objects.MASK_LOGIT).mean() < 0.9


def test_blocks_count_the_pixels_of_a_mask() -> None:
    mask = np.random.default_rng(0).random((40, 33)) < 0.5
    blocks = pipeline.block_areas(mask)
    assert blocks.shape == (3, 3)
    assert blocks[1, 1] == mask[16:32, 16:32].sum()
    assert blocks[2, 2] == mask[32:, 32:].sum()


def test_merging_keeps_only_cases_of_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "frame.json"
    monkeypatch.setattr(frame, "commit", lambda: "abc")
    assert frame.earlier_cases(path, {"a"}) == []
    path.write_text(
        json.dumps({"commit": "abc", "cases": [{"label": "a"}, {"label": "b"}]}), encoding="utf-8"
    )
    assert frame.earlier_cases(path, {"a"}) == [{"label": "b"}]
    monkeypatch.setattr(frame, "commit", lambda: "def")
    with pytest.raises(SystemExit, match="of commit abc, this is def"):
        frame.earlier_cases(path, {"a"})


def test_frames_have_a_ratio_for_each_way_of_post_processing() -> None:
    results = {
        "mobileinst": {"median_ms": 4.0, "min_ms": 3.0},
        "mobileinst int8": {"median_ms": 2.0, "min_ms": 1.0},
        "mobileinst int8+segment": {"median_ms": 1.0, "min_ms": 0.5},
        "a+usual": {"median_ms": 6.0, "min_ms": 5.0},
        "b+usual": {"median_ms": 5.0, "min_ms": 4.5},
        "b int8+usual": {"median_ms": 3.0, "min_ms": 2.0},
    }
    table = frame.ratio_table([{"label": "x", "results": results}], ["usual", "boxed"])
    heads, _, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    assert heads[1:] == ["usual, fp32", "usual, int8", "boxed, fp32", "boxed, int8"]
    assert row == ["x", "2.50 (4.50)", "1.50 (2.00)", "-", "-"]


def test_frames_are_made_by_engines_in_each_precision() -> None:
    found = frame.contestants_of(["mobileinst", "mobileinst int8", "ncnn fp16"], ["usual", "boxed"])
    assert found == [
        "mobileinst", "mobileinst+segment", "mobileinst int8", "mobileinst int8+segment",
        "ncnn fp16+usual", "ncnn fp16+boxed",
    ]  # fmt: skip


def test_frames_are_compared_with_the_engines_that_are_often_fastest() -> None:
    options = frame.make_parser().parse_args([])
    assert options.contestants == ["mobileinst", "onnxruntime", "ncnn", "mnn"]
