"""Made annotations and results for tests of the evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """COCO run lengths of a dense mask (h, w), the plain way."""
    line = mask.T.ravel().astype(np.int8)
    changes = np.flatnonzero(np.diff(line, prepend=0))
    return [int(n) for n in np.diff(np.concatenate([[0], changes, [line.size]]))]


def rle(mask: NDArray[np.bool_], compressed: bool = True) -> dict[str, Any]:
    counts: Any = runs_of(mask)
    if compressed:
        counts = bytes(_native.rle_compress(np.array(counts, np.uint32))).decode()
    return {"size": list(mask.shape), "counts": counts}


def box(height: int, width: int, y: int, x: int, h: int, w: int) -> NDArray[np.bool_]:
    """A filled box, cut at the frame's edge."""
    mask = np.zeros((height, width), np.bool_)
    mask[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    return mask


def clip(track: list[NDArray[np.bool_] | None]) -> list[dict[str, Any] | None]:
    return [None if mask is None else rle(mask) for mask in track]


def annotations(
    tracks: list[list[NDArray[np.bool_] | None]], height: int = 20, width: int = 30, **extra: Any
) -> dict[str, Any]:
    """One video of category 1 with these tracks."""
    length = len(tracks[0])
    return {
        "videos": [{"id": 1, "height": height, "width": width, "length": length}],
        "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}],
        "annotations": [
            {"id": i + 1, "video_id": 1, "category_id": 1, "iscrowd": 0, "segmentations": clip(t), **extra}
            for i, t in enumerate(tracks)
        ],
    }


def results(tracks: list[list[NDArray[np.bool_] | None]], scores: list[float] | None = None) -> list[Any]:
    return [
        {
            "video_id": 1,
            "category_id": 1,
            "score": 0.9 if scores is None else scores[i],
            "segmentations": clip(track),
        }
        for i, track in enumerate(tracks)
    ]
