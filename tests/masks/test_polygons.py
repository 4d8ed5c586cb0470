"""Polygons cover their masks: exactly with tolerance 0, nearly with more."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.masks.polygons import (
    Ring,
    contains,
    join_rings,
    mask_polygons,
    mask_rings,
    ring_area,
    simplify,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools


def fill(polygons: list[Ring], shape: tuple[int, int]) -> np.ndarray:
    """Which pixels' centres lie inside."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    centres = np.stack([columns, rows], -1)
    return np.any([contains(polygon, centres) for polygon in polygons] or [np.zeros(shape, np.bool_)], axis=0)


def test_exact_polygons_cover_exactly_the_mask() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        mask = rng.random(rng.integers(1, 12, 2)) < rng.random()
        polygons = mask_polygons(mask, 0)
        np.testing.assert_array_equal(fill(polygons, mask.shape), mask)
        assert sum(map(ring_area, polygons)) == mask.sum()


def test_coco_reads_them_as_the_mask() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for _ in range(50):
        mask = np.kron(rng.random((4, 5)) < 0.6, np.ones((6, 6), np.bool_)).astype(np.bool_)
        polygons = mask_polygons(mask, 0)
        if polygons:
            parts = coco.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *mask.shape)
            np.testing.assert_array_equal(coco.decode(coco.merge(parts)), mask)


def test_components_and_holes() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[1:8, 1:8] = True
    mask[3:6, 3:6] = False
    mask[4, 4] = True  # An island in the hole.
    mask[0, 11] = True
    outer, holes = mask_rings(mask)
    assert [ring_area(ring) for ring in outer] == [1, 49, 1]
    assert [ring_area(ring) for ring in holes] == [-9]
    polygons = mask_polygons(mask, 0)
    assert [ring_area(polygon) for polygon in polygons] == [40, 1, 1]
    np.testing.assert_array_equal(fill(polygons, mask.shape), mask)


def test_pixels_that_touch_by_a_corner_are_components() -> None:
    for mask in (np.eye(3, dtype=np.bool_), np.eye(3, dtype=np.bool_)[::-1]):
        assert [ring_area(polygon) for polygon in mask_polygons(mask, 0)] == [1, 1, 1]


@pytest.mark.parametrize(("tolerance", "least", "most"), [(0.5, 0.99, 400), (1.0, 0.98, 60), (3.0, 0.94, 20)])
def test_tolerance_trades_corners_for_exactness(tolerance: float, least: float, most: int) -> None:
    rows, columns = np.mgrid[:200, :200]
    mask = (rows - 100) ** 2 + (columns - 90) ** 2 < 70**2
    (polygon,) = mask_polygons(mask, tolerance)
    found = fill([polygon], mask.shape)
    assert (found & mask).sum() / (found | mask).sum() > least
    assert len(polygon) < most


def test_simplified_rings_stay_near() -> None:
    rng = np.random.default_rng(2)
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * (50 + rng.random((100, 1)) * 10)
    ring = ring.astype(np.float32)
    simple = simplify(ring, 2.0)
    assert 3 <= len(simple) < 100
    ends = np.roll(simple, -1, 0)
    share = ((ring[:, None] - simple) * (ends - simple)).sum(-1) / ((ends - simple) ** 2).sum(-1)
    nearest = simple + share.clip(0, 1)[..., None] * (ends - simple)
    assert np.linalg.norm(ring[:, None] - nearest, axis=-1).min(1).max() <= 2.0 + 1e-4


def test_tiny_components_vanish_within_the_tolerance() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[2:12, 2:12] = True
    mask[15, 15] = True
    assert len(mask_polygons(mask, 1.5)) == 1
    assert mask_polygons(np.zeros((3, 4), np.bool_)) == []


def test_joined_rings_enclose_what_they_did() -> None:
    rings = [np.float32([[x, 0], [x + 2, 0], [x + 2, 2], [x, 2]]) for x in (0, 5, 10)]
    joined = join_rings(rings)
    assert ring_area(joined) == 12
    np.testing.assert_array_equal(fill([joined], (4, 14)), fill(rings, (4, 14)))


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a mask bool"):
        mask_polygons(np.zeros((3, 4), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tolerance"):
        mask_polygons(np.zeros((3, 4), np.bool_), -1)
