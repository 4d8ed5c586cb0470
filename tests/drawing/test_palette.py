"""Colors of tracks: apart for every kind of color vision, with text and outlines that stand out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mobileinst.drawing.palette import BLACK, PALETTE, WHITE, contrast, contrasting, luminance, track_color

#: Color vision that lacks one kind of cone, on linear RGB: Machado, Oliveira, Fernandes 2009, severity 1.
VISION = {
    "trichromat": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protanope": [
        0.152286,
        1.052583,
        -0.204868,
        0.114503,
        0.786281,
        0.099216,
        -0.003882,
        -0.048116,
        1.051998,
    ],
    "deuteranope": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
    "tritanope": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
}


def lab(color: tuple[int, int, int], vision: list[float]) -> np.ndarray:
    """CIE Lab (D65) of an sRGB color as such an eye sees it."""
    value = np.array(color) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = (np.reshape(vision, (3, 3)) @ linear).clip(0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_tracks_in_a_row_are_told_apart(vision: str) -> None:
    """A difference of 2.3 is just noticeable; these are far above it."""
    eye = VISION[vision]
    apart = [np.linalg.norm(lab(a, eye) - lab(b, eye)) for a, b in itertools.combinations(PALETTE, 2)]
    assert min(apart) > 15
    neighbours = [
        np.linalg.norm(lab(track_color(i), eye) - lab(track_color(i + 1), eye)) for i in range(1, 35)
    ]
    assert min(neighbours) > 20


def test_colors_come_round_after_35_tracks() -> None:
    colors = [track_color(i) for i in range(1, 36)]
    assert len(set(colors)) == 35
    assert track_color(36) == track_color(1)
    assert colors[:7] == list(PALETTE)


def test_text_stands_out_from_its_plate() -> None:
    for color in (track_color(i) for i in range(1, 36)):
        assert contrast(color, contrasting(color)) >= 4.5


def test_an_outline_and_its_halo_stand_out_from_any_background() -> None:
    backgrounds = [(grey, grey, grey) for grey in range(0, 256, 5)] + [track_color(i) for i in range(1, 36)]
    for color in (track_color(i) for i in range(1, 36)):
        for background in backgrounds:
            assert max(contrast(color, background), contrast(contrasting(color), background)) > 2.1


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert luminance((188, 188, 188)) == pytest.approx(0.5, abs=0.005)
