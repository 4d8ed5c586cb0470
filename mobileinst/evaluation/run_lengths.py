"""Masks of whole tracks as intervals on one line of pixels, so that overlaps need no dense mask.

A frame's mask in COCO's column-major run lengths is a list of intervals on a line of height * width pixels;
the frames of a video are laid one after another on the same line. The overlap of two tracks is then that of
two sorted lists of intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from .entries import said, whole

#: Polygons are traced on a grid that is this much finer than the pixels (COCO's rasteriser).
_POLYGON_SCALE = 5
#: Greatest coordinate of a polygon and length of its outline, in pixels: tracing takes time by these.
_FARTHEST, _LONGEST_OUTLINE = 1e7, 2e6


@dataclass(frozen=True, eq=False)
class MaskTrack:
    """Masks of one object through a video.

    Attributes:
        starts, ends: int64 (n,), foreground intervals [start, end), sorted, on the line of
            frames * height * width pixels.
        frames: int64 (n,), the frame of each interval.
        areas: int64 (frames,), pixels in each frame; 0 where there is no mask.
        present: bool (frames,), where there is a mask (which may be empty).
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    frames: NDArray[np.int64]
    areas: NDArray[np.int64]
    present: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Pixels in all frames together."""
        return int(self.areas.sum())

    @property
    def mean_area(self) -> float:
        """Pixels per frame over the frames where the mask isn't empty; 0 if there are none."""
        seen = self.areas[self.areas > 0]
        return float(seen.mean()) if len(seen) else 0.0


def decompress(text: str | bytes) -> NDArray[np.int64]:
    """Run lengths of COCO's compressed string.

    Raises:
        ValueError: if a character is foreign to the code, the string ends within a number, or a run is
            negative.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise ValueError("compressed run lengths contain characters outside ASCII") from None
    return np.asarray(_native.rle_decompress(raw), np.int64)


def frame_runs(segmentation: Any, height: int, width: int) -> NDArray[np.int64]:
    """Run lengths (first run background) of one mask in any form that annotation files use.

    Args:
        segmentation: run-length dict with compressed (str, bytes) or uncompressed (list) counts, or polygons,
            a list of [x0, y0, x1, y1, ...].
        height, width: pixels of the frame.

    Raises:
        ValueError: if it is none of these or doesn't fit the frame.
    """
    if isinstance(segmentation, dict):
        return _runs_of_dict(segmentation, height, width)
    if isinstance(segmentation, (list, tuple)):
        return polygon_runs(segmentation, height, width)
    raise ValueError(
        f"expected run lengths (a dict of size and counts) or polygons, got {type(segmentation).__name__}"
    )


def _runs_of_dict(segmentation: dict[str, Any], height: int, width: int) -> NDArray[np.int64]:
    if "counts" not in segmentation or "size" not in segmentation:
        raise ValueError(f"expected run lengths with keys size and counts, got {said(sorted(segmentation))}")
    size = segmentation["size"]
    sides = [whole(side) for side in size] if isinstance(size, (list, tuple)) else []
    if sides != [height, width]:
        raise ValueError(f"expected a mask of [height, width] = {[height, width]}, its size is {said(size)}")
    counts = segmentation["counts"]
    if isinstance(counts, (str, bytes)):
        runs = decompress(counts)
    else:
        lengths = counts if isinstance(counts, (list, tuple, np.ndarray)) else None
        if lengths is None or not all(isinstance(n, (int, np.integer)) for n in lengths):
            raise ValueError(f"expected counts as a string or a list of integers, got {said(counts)}")
        negative = next((n for n in lengths if n < 0), None)
        if negative is not None:
            raise ValueError(f"expected runs of at least 0 pixels, got the negative length {negative}")
        if any(n > height * width for n in lengths):
            raise ValueError(f"a run exceeds the {height} x {width} = {height * width} pixels")
        runs = np.array(lengths, np.int64)
    if int(runs.sum()) != height * width:
        raise ValueError(
            f"run lengths sum to {int(runs.sum())}, expected {height} x {width} = {height * width} pixels"
        )
    return runs


def polygon_runs(polygons: Sequence[Any], height: int, width: int) -> NDArray[np.int64]:
    """Run lengths of the union of polygons, the same pixels as COCO's rasteriser fills.

    Raises:
        ValueError: as `checked_polygons`.
    """
    total = height * width
    positions, steps = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for points in checked_polygons(polygons):
        # An odd number of crossings of one polygon before a pixel: the pixel is inside of it.
        unique, number = np.unique(_polygon_crossings(points, height, width), return_counts=True)
        unique = unique[number % 2 == 1]
        if len(unique) % 2:
            unique = np.append(unique, total)
        positions.append(unique)
        steps.append(np.where(np.arange(len(unique)) % 2, -1, 1))
    places, inverse = np.unique(np.concatenate(positions), return_inverse=True)
    change = np.bincount(inverse, weights=np.concatenate(steps), minlength=len(places))
    filled = np.cumsum(change) > 0
    edges = places[np.flatnonzero(np.diff(filled, prepend=False))]
    edges = np.concatenate([[0], edges[edges < total], [total]]).astype(np.int64)
    return np.asarray(edges[1:] - edges[:-1], np.int64)


def checked_polygons(polygons: Any) -> list[NDArray[np.float64]]:
    """Polygons as arrays [x0, y0, x1, y1, ...]; one flat list of numbers is one polygon.

    Raises:
        ValueError: if there is none, or one has fewer than 3 points, an odd number of coordinates, one that
            is not finite, or is far too large to be traced.
    """
    if isinstance(polygons, (list, tuple)) and polygons and not isinstance(polygons[0], (list, tuple)):
        polygons = [polygons]
    if not polygons:
        raise ValueError("expected a mask, got no polygon")
    return [_checked_polygon(points) for points in polygons]


def _checked_polygon(points: Any) -> NDArray[np.float64]:
    try:
        xy = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("expected polygons as lists of numbers [x0, y0, x1, y1, ...]") from None
    if xy.ndim != 1 or len(xy) < 6 or len(xy) % 2:
        raise ValueError(f"expected a polygon of 3 or more points, got {np.size(xy)} coordinates")
    if not np.isfinite(xy).all():
        raise ValueError("expected a polygon of finite coordinates")
    corners = xy.reshape(-1, 2)
    outline = np.abs(np.roll(corners, -1, axis=0) - corners).max(1).sum()
    if np.abs(xy).max() > _FARTHEST or outline > _LONGEST_OUTLINE:
        raise ValueError(
            f"expected a polygon that can be traced, got coordinates up to {np.abs(xy).max():g} and an "
            f"outline of {outline:g} pixels"
        )
    return xy


def _polygon_crossings(xy: NDArray[np.float64], height: int, width: int) -> NDArray[np.int64]:
    """Positions (x * height + y) where a polygon's outline crosses the column centres."""
    grid = (_POLYGON_SCALE * xy + 0.5).astype(np.int64).reshape(-1, 2)
    u, v = _outline(grid, np.roll(grid, -1, axis=0))
    moved = np.flatnonzero(np.diff(u)) + 1
    x = (np.where(u[moved] < u[moved - 1], u[moved], u[moved] - 1) + 0.5) / _POLYGON_SCALE - 0.5
    y = (np.minimum(v[moved], v[moved - 1]) + 0.5) / _POLYGON_SCALE - 0.5
    keep = (np.floor(x) == x) & (x >= 0) & (x <= width - 1)
    y = np.ceil(np.clip(y, 0, height))
    return np.asarray(x[keep] * height + y[keep], np.int64)


def _outline(start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grid points along the edges start -> end, int64 (n, 2) each, one step of the longer axis at a time."""
    delta = end - start
    steep = np.abs(delta[:, 1]) > np.abs(delta[:, 0])
    major = np.where(steep, 1, 0)
    edges = np.arange(len(start))
    # Edges are traced from the lower end on the longer axis: both directions give the same points.
    flip = delta[edges, major] < 0
    low = np.where(flip[:, None], end, start)
    steps = np.abs(delta[edges, major])
    slope = np.where(flip, -1, 1) * delta[edges, 1 - major] / np.maximum(steps, 1)
    edge = np.repeat(edges, steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    step = np.where(flip[edge], steps[edge] - step, step)
    along = low[edge, major[edge]] + step
    across = (low[edge, 1 - major[edge]] + slope[edge] * step + 0.5).astype(np.int64)
    return np.where(steep[edge], across, along), np.where(steep[edge], along, across)


def mask_track(segmentations: Sequence[Any], height: int, width: int) -> MaskTrack:
    """A track from one mask per frame; None (or an empty list) where the object is absent.

    Raises:
        ValueError: as `frame_runs`, naming the frame.
    """
    size = height * width
    starts, ends, frames = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    areas = np.zeros(len(segmentations), np.int64)
    present = np.zeros(len(segmentations), np.bool_)
    for frame, segmentation in enumerate(segmentations):
        if not segmentation:
            continue
        try:
            runs = frame_runs(segmentation, height, width)
        except ValueError as error:
            raise ValueError(f"frame {frame}: {error}") from None
        edges = np.cumsum(runs) + frame * size
        present[frame] = True
        areas[frame] = runs[1::2].sum()
        ends.append(edges[1::2])
        starts.append(edges[0::2][: len(ends[-1])])
        frames.append(np.full(len(ends[-1]), frame, np.int64))
    return MaskTrack(np.concatenate(starts), np.concatenate(ends), np.concatenate(frames), areas, present)


def frame_intersections(track: MaskTrack, others: Sequence[MaskTrack]) -> NDArray[np.int64]:
    """Pixels that `track` shares with each of `others` in each frame: int64 (others, frames)."""
    length = len(track.areas)
    owner = np.repeat(np.arange(len(others)), [len(other.starts) for other in others])
    if not len(owner) or not len(track.starts):
        return np.zeros((len(others), length), np.int64)
    shared = _covered(track, np.concatenate([o.ends for o in others]))
    shared -= _covered(track, np.concatenate([o.starts for o in others]))
    cell = owner * length + np.concatenate([o.frames for o in others])
    # float64 sums of whole numbers below 2^53 are exact.
    summed = np.bincount(cell, weights=shared, minlength=len(others) * length)
    return summed.astype(np.int64).reshape(len(others), length)


def mask_ious(track: MaskTrack, others: Sequence[MaskTrack]) -> NDArray[np.float64]:
    """IoU of `track` with each of `others` over all frames together, float64 (others,); 0 of empty ones."""
    shared = frame_intersections(track, others).sum(1)
    union = np.array([other.area for other in others], np.int64) + track.area - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(len(others)), where=union > 0), np.float64)


def _covered(track: MaskTrack, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Foreground pixels of `track` before each position on the line."""
    before = np.concatenate([[0], np.cumsum(track.ends - track.starts)])
    index = np.searchsorted(track.starts, positions, side="right")
    beyond = np.where(index > 0, track.ends[index - 1] - positions, 0)
    return np.asarray(before[index] - np.maximum(beyond, 0), np.int64)
