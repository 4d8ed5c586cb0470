"""Outlines, trails, legend and lines, pixel by pixel where it matters."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.drawing import Overlay, draw, track_color
from mobileinst.drawing.canvas import blend, draw_line
from mobileinst.drawing.outline import draw_outline
from mobileinst.drawing.palette import BLACK, contrasting
from mobileinst.results import Instances, encode

COLOR = track_color(1)


def outlined(mask: np.ndarray, thickness: int, background: int = 100) -> np.ndarray:
    canvas = np.full((*mask.shape, 3), background, np.uint8)
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    draw_outline(canvas, mask, tuple(map(int, box)), COLOR, thickness)
    return canvas


@pytest.mark.parametrize("thickness", range(1, 8))
def test_an_outline_is_a_line_inside_and_a_halo_outside(thickness: int) -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[15:45, 15:45] = True
    drawn = outlined(mask, thickness)
    wide, halo = min(thickness, 6), max(1, min(thickness, 6) // 2)
    column = drawn[:, 30]
    assert (column[15 : 15 + wide] == COLOR).all()
    assert (column[15 + wide : 45 - wide] == 100).all()
    assert (column[15 - halo : 15] == contrasting(COLOR)).all()
    assert (column[: 15 - halo] == 100).all()
    np.testing.assert_array_equal(drawn, drawn.transpose(1, 0, 2))
    np.testing.assert_array_equal(drawn, drawn[::-1, ::-1])


def test_slanted_edges_are_smooth() -> None:
    rows, columns = np.mgrid[:80, :80]
    drawn = outlined((rows + 2 * columns > 80) & (rows < 70) & (columns < 70), 3)
    assert len(np.unique(drawn[30:50, 10:40].reshape(-1, 3), axis=0)) > 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (2, 2), (30, 1)])
def test_tiny_and_thin_masks_are_drawn_whole(shape: tuple[int, int]) -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[5 : 5 + shape[0], 5 : 5 + shape[1]] = True
    drawn = outlined(mask, 4)
    assert (drawn[mask] == COLOR).all()
    assert (drawn[~mask] != 100).any()


def test_an_outline_runs_along_the_edge_of_the_frame() -> None:
    drawn = outlined(np.ones((20, 30), np.bool_), 2)
    assert (drawn[[0, -1]] == COLOR).all()
    assert (drawn[:, [0, -1]] == COLOR).all()
    assert (drawn[5:-5, 5:-5] == 100).all()


def at(x: int, track: int = 1, size: tuple[int, int] = (100, 200)) -> Instances:
    mask = np.zeros((1, *size), np.bool_)
    mask[0, 40:50, x : x + 10] = True
    return Instances(size, encode(mask), [0.5], [0], ["person"], [track])


def test_trails_follow_the_feet_and_fade() -> None:
    overlay = Overlay(masks=False, outlines=False, labels=False, trails=3)
    grey = np.full((100, 200, 3), 100, np.uint8)
    frames = [overlay.draw(grey, at(x)) for x in (10, 40, 70, 100, 130)]
    np.testing.assert_array_equal(frames[0], grey)
    row = np.abs(frames[-1][50].astype(int) - 100).sum(-1)
    assert row[30] == 0  # Older than three frames.
    assert 0 < row[60] < row[90] < row[120]
    empty = Instances.empty((100, 200))
    for _ in range(4):
        last = overlay.draw(grey, empty)
    np.testing.assert_array_equal(last, grey)
    assert overlay._ways == {}


def test_the_legend_lists_what_is_visible() -> None:
    grey = np.full((100, 200, 3), 100, np.uint8)
    plain = draw(grey, at(100), labels=False)
    shown = draw(grey, at(100), labels=False, legend=True)
    changed = (plain != shown).any(-1)
    rows, columns = np.nonzero(changed)
    assert columns.max() < 90
    assert rows.min() > 40
    assert (shown[changed] == COLOR).all(-1).sum() > 20
    nothing = Instances.empty((100, 200))
    np.testing.assert_array_equal(draw(grey, nothing, legend=True), grey)


def test_a_legend_that_is_too_long_is_cut() -> None:
    masks = np.zeros((40, 60, 80), np.bool_)
    masks[:, 5, 5] = True
    many = Instances((60, 80), encode(masks), [0.5] * 40, [0] * 40, ["person"] * 40, range(1, 41))
    assert draw(np.zeros((60, 80, 3), np.uint8), many, legend=True).shape == (60, 80, 3)


def test_lines_have_their_width_and_may_leave_the_canvas() -> None:
    canvas = np.zeros((30, 40, 3), np.uint8)
    draw_line(canvas, (-10, 15), (60, 15), (255, 0, 0), 4)
    assert (canvas[:, 20, 0] / 255).sum() == pytest.approx(4, abs=0.05)
    untouched = canvas.copy()
    draw_line(canvas, (100, 100), (200, 120), (255, 0, 0), 4)
    np.testing.assert_array_equal(canvas, untouched)
    draw_line(canvas, (5, 5), (5, 5), (0, 255, 0), 6)
    assert tuple(canvas[5, 5]) == (0, 255, 0)


def test_blending_is_exact_at_both_ends() -> None:
    canvas = np.full((4, 4, 3), 77, np.uint8)
    blend(canvas, -1, 2, np.array([[0, 0, 0], [0, 255, 255], [255, 0, 128]], np.uint8), BLACK)
    assert canvas[..., 0].tolist() == [[77, 77, 77, 0], [77, 77, 0, 77], [77] * 4, [77] * 4]


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="opacity"):
        Overlay(opacity=-1)
    with pytest.raises(ValueError, match="trails"):
        Overlay(trails=-1)
