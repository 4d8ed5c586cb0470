"""Images that are the same, or nearly: those of one moment should be in one part of a set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.extras import import_pillow
from .model import DatasetError

#: Side of the hash, in bits.
_SIDE = 8
#: Hashes of images that look alike differ in at most so many of their 64 bits.
ALIKE = 3


def picture_hash(image: Any) -> int:
    """64 bits of how a Pillow image looks (dHash): whether brightness rises from cell to cell of a row."""
    small = np.asarray(image.convert("L").resize((_SIDE + 1, _SIDE), 4), np.int16)  # 4: means of areas
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int(np.packbits(bits).view(">u8")[0])


def file_hash(path: Path) -> int:
    """:func:`picture_hash` of a file, turned upright.

    Raises:
        DatasetError: if it can't be read.
    """
    pillow, ops = import_pillow()
    try:
        with pillow.open(path) as image:
            image.draft("L", (8 * _SIDE, 8 * _SIDE))
            return picture_hash(ops.exif_transpose(image))
    except Exception as error:  # readers of damaged files raise nearly every class
        raise DatasetError(f"{path}: can't be read as an image: {error}") from None


def alike(hashes: Sequence[int], others: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of indices (i, j) of images of both lists that look alike: for each j the first i."""
    ours = np.array(hashes, np.uint64)
    pairs = []
    for j, other in enumerate(others):
        near = np.flatnonzero(_differing(ours, np.uint64(other)) <= ALIKE)
        if len(near):
            pairs.append((int(near[0]), j))
    return pairs


def groups(hashes: Sequence[int]) -> list[list[int]]:
    """Indices of images that look alike, together (chains included), in order of their first."""
    values = np.array(hashes, np.uint64)
    group = np.full(len(values), -1)
    for start in range(len(values)):
        if group[start] >= 0:
            continue
        group[start] = start
        waiting = [start]
        while waiting:
            near = (_differing(values, values[waiting.pop()]) <= ALIKE) & (group < 0)
            group[near] = start
            waiting += np.flatnonzero(near).tolist()
    return [np.flatnonzero(group == start).tolist() for start in np.unique(group)]


def _differing(values: NDArray[np.uint64], one: np.uint64) -> NDArray[np.int64]:
    """How many bits of each differ from those of one."""
    changed = (values ^ one)[:, None].view(np.uint8)
    return np.asarray(np.unpackbits(changed, axis=1).sum(1), np.int64)
