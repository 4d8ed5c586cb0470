"""The COCO protocol: matching of predictions with objects at IoU thresholds, precision at recall points.

Shared definition of COCO and YouTube-VIS, written over arrays: all IoU thresholds and area ranges of one
category in one image or video are matched at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
RECALL_POINTS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)
AREA_NAMES = ("all", "small", "medium", "large")


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision over recall: T IoU thresholds, R recall points, A areas, M limits of the predictions.

    precision, scores: float64 (T, R, A, M), the score at which each recall is reached. recall: float64
    (T, A, M), the greatest. -1 where a category has no object that counts.
    """

    precision: NDArray[np.float64]
    scores: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matches:
    """One category in one image or video: D predictions, best first, and G objects, in A area ranges.

    scores: float64 (D,). matched, ignored: bool (A, T, D). objects: int64 (A,), those that count.
    """

    scores: NDArray[np.float64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    objects: NDArray[np.int64]


def match(
    iou: NDArray[np.float64],
    scores: NDArray[np.float64],
    ignore: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    outside: NDArray[np.bool_],
) -> Matches:
    """Greedy matching, best score first, as the official code does it.

    A prediction takes the free object of greatest IoU at or above the threshold (of equals the last), one
    that counts before one to be ignored; a crowd stays free. What is left unmatched outside of the area range
    is ignored.

    Args:
        iou: (D, G), predictions sorted by descending score.
        scores: (D,).
        ignore: (A, G), objects that don't count in an area range (crowds are among them).
        crowd: (G,).
        outside: (A, D), predictions whose area is outside of the range.
    """
    predictions, objects = iou.shape
    ranges, thresholds = len(ignore), len(IOU_THRESHOLDS)
    limits = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    free = np.ones((ranges, thresholds, objects), np.bool_)
    matched = np.zeros((ranges, thresholds, predictions), np.bool_)
    ignored = np.zeros((ranges, thresholds, predictions), np.bool_)
    if objects:
        number = np.arange(objects)
        counting = ~ignore[:, None, :]
        for d in range(predictions):
            fits = free & (iou[d] >= limits[:, None])
            # Objects that count go before ignored ones, whatever their IoU is; of equal IoU the last wins.
            preferred = fits & counting
            chosen_from = np.where(preferred.any(2, keepdims=True), preferred, fits)
            value = np.where(chosen_from, iou[d], -1.0)
            best = objects - 1 - np.argmax(value[:, :, ::-1], axis=2)
            found = chosen_from.any(2)
            free &= ~((number == best[:, :, None]) & found[:, :, None]) | crowd
            ignored[:, :, d] = found & np.take_along_axis(ignore, best, 1)
            matched[:, :, d] = found
    ignored |= ~matched & outside[:, None, :]
    return Matches(scores, matched, ignored, (~ignore).sum(1))


def accumulate(matches: Sequence[Matches]) -> Curves:
    """The curves of one category over all images or videos."""
    ranges = len(AREA_NAMES)
    shape = (len(IOU_THRESHOLDS), len(RECALL_POINTS), ranges, len(MAX_DETECTIONS))
    curves = Curves(np.full(shape, -1.0), np.full(shape, -1.0), np.full((shape[0], *shape[2:]), -1.0))
    if not matches:
        return curves
    objects = np.sum([m.objects for m in matches], axis=0)
    for position, most in enumerate(MAX_DETECTIONS):
        scores = np.concatenate([m.scores[:most] for m in matches])
        order = np.argsort(-scores, kind="stable")
        matched = np.concatenate([m.matched[:, :, :most] for m in matches], axis=2)[:, :, order]
        ignored = np.concatenate([m.ignored[:, :, :most] for m in matches], axis=2)[:, :, order]
        for area in np.flatnonzero(objects):
            right = np.cumsum(matched[area] & ~ignored[area], axis=1).astype(np.float64)
            wrong = np.cumsum(~matched[area] & ~ignored[area], axis=1).astype(np.float64)
            for t in range(shape[0]):
                at = t, slice(None), area, position
                curves.precision[at], curves.scores[at], curves.recall[t, area, position] = _curve(
                    right[t], wrong[t], scores[order], int(objects[area])
                )
    return curves


def _curve(
    right: NDArray[np.float64], wrong: NDArray[np.float64], scores: NDArray[np.float64], objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Precision at the recall points, made falling, the scores there, and the recall reached."""
    sampled, at = np.zeros(len(RECALL_POINTS)), np.zeros(len(RECALL_POINTS))
    if not len(right):
        return sampled, at, 0.0
    recall = right / objects
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, RECALL_POINTS, side="left")
    reached = index < len(precision)
    sampled[reached] = precision[index[reached]]
    at[reached] = scores[index[reached]]
    return sampled, at, float(recall[-1])
