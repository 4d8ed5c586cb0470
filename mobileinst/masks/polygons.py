"""Outlines of masks as polygons, for annotation tools and drawing.

A ring runs along the edges of pixels, so its corners are whole numbers; pixel (x, y) covers x..x+1, y..y+1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float32]


def mask_polygons(mask: NDArray[np.bool_], tolerance: float = 1.0) -> list[Ring]:
    """The mask as polygons, one for each connected component (pixels touch by their edges), largest first.

    A hole is cut in: the ring runs from the outside to the hole, around it and back on the same way. Filled
    by the even-odd or the nonzero rule, the polygons of tolerance 0 cover exactly the mask's pixels.

    Args:
        mask: bool (H, W).
        tolerance: how far the ring may run beside the pixels' edges, in pixels; components and holes
            that vanish within it are left out. Up: fewer corners; 0: exact, with a corner at every turn.

    Returns:
        float32 (k, 2) for each component, x and y in pixels, closed by going back to the first
        corner.

    Raises:
        ValueError: for another shape or dtype, or a negative tolerance.

    Example:
        >>> mask_polygons(np.array([[False, True, True]]), tolerance=0)[0].tolist()
        [[1.0, 0.0], [3.0, 0.0], [3.0, 1.0], [1.0, 1.0]]
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"expected a mask bool (height, width), got {mask.dtype} {mask.shape}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0 pixels, got {tolerance!r}")
    outer, holes = mask_rings(mask)
    outer.sort(key=ring_area, reverse=True)
    within: list[list[Ring]] = [[] for _ in outer]
    for hole in holes:
        within[_owner(hole, outer)].append(hole)
    polygons = []
    for ring, cut in zip(outer, within, strict=True):
        simple = [simplify(part, tolerance) for part in (ring, *cut)]
        if len(simple[0]) >= 3:
            polygons.append(join_rings([part for part in simple if len(part) >= 3]))
    return polygons


def mask_rings(mask: NDArray[np.bool_]) -> tuple[list[Ring], list[Ring]]:
    """Exact rings around the connected components of a mask and around their holes, float32 (k, 2) each.

    Seen on the picture, rings around components run clockwise and rings around holes counterclockwise.
    """
    padded = np.pad(mask, 1)
    corners, horizontal, vertical = _corners(padded)
    outer: list[Ring] = []
    holes: list[Ring] = []
    waiting = np.ones(len(corners), np.bool_)
    for start in range(len(corners)):
        if not waiting[start]:
            continue
        # The first corner of a ring in reading order is its upper left: the way on is to the right.
        path, at = [], start
        while True:
            side = horizontal[at]
            path += [at, side]
            at = vertical[side]
            if at == start:
                break
        waiting[path] = False
        ring = corners[path][:, ::-1].astype(np.float32)
        row, column = corners[start]
        if padded[row + 1, column + 1]:
            outer.append(ring)
        else:
            holes.append(ring[::-1])
    return outer, holes


def _corners(padded: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """Corners (row, column) of all rings in reading order, and each one's neighbour along row and column.

    Where two pixels touch by a corner only, there are two corners at one place, which keep them apart.
    """
    nw, ne, sw, se = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    falling, rising = nw & se & ~ne & ~sw, ne & sw & ~nw & ~se
    count = (nw ^ ne ^ sw ^ se).astype(np.uint8)
    count[falling | rising] = 2
    rows, columns = np.nonzero(count)
    times = count[rows, columns]
    swapped = np.repeat(rising[rows, columns], times)
    rows, columns = np.repeat(rows, times), np.repeat(columns, times)
    index = np.arange(len(rows))
    # Edges join neighbours in a row in pairs, and so they do in a column.
    second = (index > 0) & (np.roll(rows, 1) == rows) & (np.roll(columns, 1) == columns)
    by_column = np.lexsort((second ^ swapped, rows, columns))
    vertical = np.empty(len(rows), np.int64)
    vertical[by_column] = by_column[index ^ 1]
    return np.stack([rows, columns], 1), (index ^ 1).tolist(), vertical.tolist()


def _owner(hole: Ring, outer: list[Ring]) -> int:
    """Index of the component that a hole is in: the smallest around it. `outer` goes from large to small."""
    corner = hole[np.lexsort((hole[:, 0], hole[:, 1]))[0]]
    above = corner + np.array([0.5, -0.5], np.float32)  # The centre of a pixel of it.
    return max(i for i, ring in enumerate(outer) if contains(ring, above))


def contains(ring: NDArray[np.floating[Any]], points: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether points (..., 2) lie inside a ring (k, 2), by the even-odd rule: bool (...)."""
    x, y = points[..., 0, None], points[..., 1, None]
    x0, y0 = ring[:, 0], ring[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1, y1 - y0)
    right = x < x0 + (y - y0) * (x1 - x0) / rise
    inside: NDArray[np.bool_] = (straddles & right).sum(-1) % 2 == 1
    return inside


def ring_area(ring: NDArray[np.floating[Any]]) -> float:
    """Area within a ring (k, 2) in square pixels: positive clockwise on the picture, else negative."""
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def simplify(ring: Ring, tolerance: float) -> Ring:
    """A ring with fewer corners, none of the old further than `tolerance` from it (Douglas-Peucker).

    A ring that is nowhere further than that from a line comes back with two corners.
    """
    if tolerance <= 0 or len(ring) < 4:
        return ring
    first = int(np.argmin(ring.sum(1)))
    far = int(np.argmax(((ring - ring[first]) ** 2).sum(1)))
    closed = np.concatenate([ring, ring])
    a, b = min(first, far), max(first, far)
    kept = {a, b}
    spans = [(a, b), (b, a + len(ring))]
    while spans:
        i, j = spans.pop()
        if j - i < 2:
            continue
        distance = _distance(closed[i + 1 : j], closed[i], closed[j])
        worst = int(np.argmax(distance))
        if distance[worst] > tolerance:
            middle = i + 1 + worst
            kept.add(middle % len(ring))
            spans += [(i, middle), (middle, j)]
    return ring[sorted(kept)]


def _distance(points: Ring, a: Ring, b: Ring) -> NDArray[np.float32]:
    """Distance of points (n, 2) from the segment from a to b."""
    along = b - a
    share = ((points - a) @ along / max(float(along @ along), 1e-12)).clip(0, 1)
    apart = points - (a + share[:, None] * along)
    return np.asarray(np.sqrt((apart * apart).sum(1)), np.float32)


def join_rings(rings: list[Ring]) -> Ring:
    """Several rings as one, joined at nearest corners by ways there and back, which enclose nothing."""
    joined = rings[0]
    for ring in rings[1:]:
        apart = ((joined[:, None] - ring[None]) ** 2).sum(-1)
        here, there = np.unravel_index(int(np.argmin(apart)), apart.shape)
        detour = [np.roll(ring, -int(there), 0), ring[there : there + 1]]
        joined = np.concatenate([joined[: here + 1], *detour, joined[here:]])
    return joined
