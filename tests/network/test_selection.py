"""Which places become queries, and their windows: NumPy's statement, and PyTorch as NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobileinst.masks.logits import run_lengths
from mobileinst.network import ModelConfig, selection
from tests.support.places import GRIDS, GROUPS, make_places, numpy_rows


def test_pytorch_selects_what_numpy_does() -> None:
    torch = pytest.importorskip("torch")
    from mobileinst.network.backbones.features import Places
    from weights_tools.torch_ops import select

    batch = [make_places(seed) for seed in (1, 2)]

    def maps(name: str, level: int) -> Any:
        rows = [torch.from_numpy(levels[name][level]) for levels in batch]
        return torch.stack([x.T.reshape(-1, *GRIDS[level]) for x in rows])

    names = ("kinds", "objectness", "boxes", "features")
    places = [Places(*(maps(name, level) for name in names)) for level in range(len(GRIDS))]
    found = select(places, GROUPS, 20)
    for image, levels in enumerate(batch):
        np.testing.assert_allclose(found[image].numpy(), numpy_rows(levels, 20), rtol=1e-4, atol=1e-5)


def test_places_that_overlap_a_better_one_come_last() -> None:
    levels = make_places()
    for boxes in levels["boxes"]:
        boxes[:] = (0.5, 0.5, -1.0, -1.0)
    levels["boxes"][1][4] = (0.1, 0.1, -2.0, -2.0)
    rows = numpy_rows(levels, 2)
    box = rows[:, -selection.BOX_CHANNELS - selection.WINDOW_CHANNELS :][:, :4]
    assert sorted(box[:, 0].tolist()) == pytest.approx([0.1, 0.5])


def test_a_window_is_positive_on_the_ellipse_within_its_box() -> None:
    box = np.array([[0.4, 0.6, np.log(0.3), np.log(0.2)]], np.float32)
    basis = selection.window_basis((40, 50))
    basis = np.concatenate([basis, np.ones((40, 50, 1), np.float32)], 2) / selection.WINDOW_SCALE
    logits = basis @ selection.windows(box)[0]
    y, x = (np.mgrid[:40, :50] + 0.5) / np.array([40, 50])[:, None, None]
    inside = np.square((x - 0.4) / 0.15) + np.square((y - 0.6) / 0.1) < 1
    np.testing.assert_array_equal(logits > 0, inside)
    assert logits.max() <= selection.WINDOW_LOGIT


def test_configurations_name_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="needs the backbone yolox_nano"):
        ModelConfig("mobilenetv2", query_source="places")
    with pytest.raises(ValueError, match="kinds must be 3 integers"):
        ModelConfig("yolox_nano", classes=3, kinds=(1, 2))
    with pytest.raises(ValueError, match="query_source must be"):
        ModelConfig("yolox_nano", query_source="elsewhere")
    config = ModelConfig("yolox_nano", classes=3)
    assert config.kinds == (1, 1, 1)
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_kernels_know_the_boxes_that_they_begin_with() -> None:
    boxes = np.random.default_rng(4).uniform((0, 0, -3.5, -3.5), (1, 1, 0, 0), (50, 4)).astype(np.float32)
    half = np.exp(boxes[:, 2:]) / 2
    expected = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)
    np.testing.assert_allclose(selection.kernel_boxes(selection.windows(boxes)), expected, atol=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_windows_are_added_and_cells_beyond_them_are_outside(margin: float) -> None:
    boxes = np.array(
        [[0.253, 0.511, 0.557, 0.703], [0.851, 0.003, 0.957, 0.307], [0.501, 0.503, 0.512, 0.511]], np.float32
    )
    product = np.random.default_rng(5).standard_normal((3, 40, 50)).astype(np.float32)
    found = selection.add_windows(product, boxes, margin)
    y, x = (np.mgrid[:40, :50] + 0.5) / np.array([40, 50])[:, None, None]
    cell = np.array([1 / 50, 1 / 40])
    for one, given, box in zip(found, product, boxes, strict=True):
        half, centre = (box[2:] - box[:2]) / 2, (box[2:] + box[:2]) / 2
        dx, dy = np.abs(x - centre[0]), np.abs(y - centre[1])
        least = np.maximum(half, selection.LEAST_CELLS * cell)
        window = selection.WINDOW_LOGIT * (1 - (dx / least[0]) ** 2 - (dy / least[1]) ** 2)
        reach = half * (1 + 2 * margin) + cell
        near = (dx <= reach[0]) & (dy <= reach[1])
        expected = np.where(near, given + window, selection.OUTSIDE_LOGIT)
        assert near.any()
        np.testing.assert_allclose(one, expected, atol=1e-4, rtol=1e-3)


def test_no_pixel_of_a_box_sees_a_cell_that_is_outside() -> None:
    rng = np.random.default_rng(8)
    centre = rng.uniform(0, 1, (30, 2))
    half = rng.uniform(0.01, 0.3, (30, 2))
    boxes = np.concatenate([centre - half, centre + half], 1).astype(np.float32)
    logits = selection.add_windows(np.full((30, 24, 32), 100, np.float32), boxes)
    runs = run_lengths(logits, (24 * 9, 32 * 7), 0.0, boxes)
    whole = run_lengths(np.full((30, 24, 32), 100, np.float32), (24 * 9, 32 * 7), 0.0, boxes)
    for ours, theirs in zip(runs, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pytorch_adds_windows_as_numpy_does() -> None:
    torch = pytest.importorskip("torch")
    from weights_tools.torch_ops import kernel_boxes, windowed_logits

    rng = np.random.default_rng(6)
    boxes = rng.uniform((0, 0, -4, -4), (1, 1, 0, 0), (12, 4)).astype(np.float32)
    features = rng.standard_normal((selection.WINDOW_CHANNELS + 6, 31, 47)).astype(np.float32)
    rest = rng.standard_normal((12, 6)).astype(np.float32)
    kernels = np.concatenate([selection.windows(boxes), rest], 1)
    corners = selection.kernel_boxes(kernels)
    given = torch.from_numpy(kernels)[None]
    np.testing.assert_allclose(kernel_boxes(given)[0].numpy(), corners, atol=1e-5)
    product = np.tensordot(rest, features[selection.WINDOW_CHANNELS :], 1)
    found = windowed_logits(given, torch.from_numpy(features)[None])[0].numpy()
    expected = selection.add_windows(product, corners)
    assert (np.abs(found - expected) > 1e-3).mean() < 1e-3  # cells at the very border of what is near


def test_an_image_with_fewer_places_than_queries_works_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from weights_tools.torch_ops import MobileInst

    config = ModelConfig("yolox_nano", width=32, classes=3, queries=100, query_source="places")
    model = MobileInst(config).eval()
    with torch.no_grad():
        found = model(torch.zeros(1, 3, 64, 64))
    assert found["class_logits"].shape == (1, 100, 3)
    assert torch.isfinite(found["mask_logits"]).all()
    empty = found["queries_global"].places[0, 84:]
    np.testing.assert_allclose(empty.numpy(), selection.empty_rows(16, 3, 128, 3), rtol=1e-5)
