"""Overlays: what is drawn where, in which color."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.drawing.font import render_text
from mobileinst.drawing.overlay import draw, track_color
from mobileinst.results import Instances, encode

GREY = np.full((60, 90, 3), 100, np.uint8)


def squares(ids: list[int], *places: tuple[int, int]) -> Instances:
    masks = np.zeros((len(places), 60, 90), np.bool_)
    for mask, (row, column) in zip(masks, places, strict=True):
        mask[row : row + 20, column : column + 20] = True
    names = ["person"] * len(places)
    return Instances((60, 90), encode(masks), [0.5] * len(places), [0] * len(places), names, ids)


def test_the_image_itself_stays_and_so_does_its_background() -> None:
    inst = squares([1], (20, 30))
    before = GREY.copy()
    drawn = draw(GREY, inst, labels=False)
    np.testing.assert_array_equal(GREY, before)
    changed = (drawn != GREY).any(-1)
    assert changed[inst.mask(0)].all()
    near = np.zeros_like(changed)
    near[19:41, 29:51] = True
    assert not changed[~near].any()


def test_outline_has_the_full_color_and_fill_a_part_of_it() -> None:
    drawn = draw(GREY, squares([5], (20, 30)), labels=False, opacity=0.5)
    assert tuple(drawn[20, 30]) == tuple(drawn[20, 40]) == tuple(drawn[30, 49]) == track_color(5)
    np.testing.assert_allclose(drawn[30, 40], (np.array(track_color(5)) + 100) / 2, atol=1)
    filled = draw(GREY, squares([5], (20, 30)), labels=False, masks=False)
    np.testing.assert_array_equal(filled[30, 40], GREY[30, 40])


def test_color_stays_with_the_id() -> None:
    one = draw(GREY, squares([7, 3], (0, 0), (20, 30)), labels=False)
    two = draw(GREY, squares([3], (20, 30)), labels=False)
    np.testing.assert_array_equal(one[21:40, 31:50], two[21:40, 31:50])
    colors = [track_color(i) for i in range(1, 30)]
    assert len(set(colors)) == len(colors)


def test_instances_without_tracks_differ_in_color() -> None:
    drawn = draw(GREY, squares([-1, -1], (0, 0), (20, 30)), labels=False)
    assert tuple(drawn[0, 0]) != tuple(drawn[20, 30])


def test_boxes_only_when_asked() -> None:
    inst = squares([1], (20, 30))
    off = draw(GREY, inst, masks=False, outlines=False, labels=False)
    np.testing.assert_array_equal(off, GREY)
    on = draw(GREY, inst, masks=False, outlines=False, labels=False, boxes=True)
    assert tuple(on[20, 35]) == tuple(on[39, 35]) == tuple(on[30, 30]) == tuple(on[30, 49]) == track_color(1)
    assert tuple(on[30, 40]) == (100, 100, 100)


@pytest.mark.parametrize("place", [(0, 0), (0, 70), (40, 70), (40, 0), (25, 35)])
def test_labels_lie_inside_the_image(place: tuple[int, int]) -> None:
    drawn = draw(GREY, squares([1], place), masks=False, outlines=False)
    changed = (drawn != GREY).any(-1)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) < 20
    assert np.ptp(columns) <= 90


def test_labels_do_not_cover_each_other() -> None:
    apart = draw(GREY, squares([1, 2], (20, 30), (20, 30)), masks=False, outlines=False)
    assert (apart == track_color(1)).all(-1).sum() > 100
    assert (apart == track_color(2)).all(-1).sum() > 100


def test_small_images_are_drawn_too() -> None:
    for shape in ((1, 1), (2, 3), (7, 200)):
        image = np.zeros((*shape, 3), np.uint8)
        full = Instances(shape, encode(np.ones((1, *shape), np.bool_)), [1], [0], ["person"], [1])
        assert draw(image, full, boxes=True).shape == image.shape


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="belong to a frame of"):
        draw(GREY[:50], squares([1], (0, 0)))
    with pytest.raises(ValueError, match="opacity"):
        draw(GREY, squares([1], (0, 0)), opacity=2)


def test_text_is_as_large_as_documented_and_readable_apart() -> None:
    assert render_text("abc", 2).shape == (16, 36)
    glyphs = {
        character: render_text(character).tobytes() for character in "0123456789abcdefghijklmnopqrstuvwxyz"
    }
    assert len(set(glyphs.values())) == len(glyphs)
    np.testing.assert_array_equal(render_text("é"), render_text("ü"))
    assert not render_text(" ").any()
