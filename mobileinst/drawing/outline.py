"""Outlines of masks: an anti-aliased line inside the edge, and one in the contrasting color outside."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .palette import Color, contrasting

#: Sums over windows of at most 15 x 15 pixels fit into uint8.
_MOST = 6


def draw_outline(
    canvas: Canvas, mask: NDArray[np.bool_], box: tuple[int, int, int, int], color: Color, thickness: int
) -> None:
    """Outline a mask, bool (H, W), whose pixels lie in the box x0, y0, x1, y1.

    How deep a pixel lies is told by the share of mask in a window around it, which also rounds the steps of
    slanted edges. All of the mask's own pixels that are near its edge get the color, however thin it is.
    """
    thickness = min(thickness, _MOST)
    halo = max(1, thickness // 2)
    reach = thickness + 1
    x0, y0 = max(box[0] - reach, 0), max(box[1] - reach, 0)
    x1, y1 = min(box[2] + reach, mask.shape[1]), min(box[3] + reach, mask.shape[0])
    inside = mask[y0:y1, x0:x1]
    region = canvas[y0:y1, x0:x1]
    line, rim = _profiles(thickness, halo)
    around = _window_sums(inside, reach)
    places = np.flatnonzero((around != 0) & (around != (2 * reach + 1) ** 2))
    own = inside.ravel()[places]
    deep = line[around.ravel()[places]]
    # Pixels of thin parts and sharp corners, where windows are mostly empty.
    deep[own & (_window_sums(inside, 1).ravel()[places] < 9)] = 255
    near = np.where(own, 0, rim[_window_sums(inside, halo).ravel()[places]])
    near = np.minimum(near, 255 - deep)
    drawn = np.flatnonzero(deep | near)
    rows, columns = np.divmod(places[drawn], inside.shape[1])
    inner, outer = deep[drawn, None].astype(np.uint16), near[drawn, None].astype(np.uint16)
    mixed = region[rows, columns] * (255 - inner - outer)
    mixed += np.array(color, np.uint16) * inner + np.array(contrasting(color), np.uint16) * outer
    region[rows, columns] = (mixed + 127) // 255


@functools.lru_cache(maxsize=16)
def _profiles(thickness: int, halo: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Coverage, uint8, of the line by the sum in its window, and of the halo by the sum in its own."""
    side = 2 * (thickness + 1) + 1
    depth = (np.arange(256) / side**2 - 0.5) * side  # From a straight edge, in pixels.
    line = (depth + 0.5).clip(0, 1) * (thickness - depth + 0.5).clip(0, 1)
    rim = (np.arange(256) / (2 * halo + 1)).clip(0, 1)
    return (255 * line).round().astype(np.uint8), (255 * rim).round().astype(np.uint8)


def _window_sums(mask: NDArray[np.bool_], reach: int) -> NDArray[np.uint8]:
    """How many of the (2 reach + 1)^2 pixels around each are of the mask; outside there is none."""
    height, width = mask.shape
    padded = np.pad(mask.view(np.uint8), reach)
    across, total = padded[:, :width].copy(), np.zeros((height, width), np.uint8)
    for i in range(1, 2 * reach + 1):
        across += padded[:, i : i + width]
    for i in range(2 * reach + 1):
        total += across[i : i + height]
    return total
