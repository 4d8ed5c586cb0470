"""What an evaluation gives: the twelve official statistics, per class too, and the curves behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .matching import IOU_THRESHOLDS, RECALL_POINTS

#: Names of the statistics, in the order of the official evaluators.
STATISTICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, float]):
    """Result of an evaluation: a mapping from the names in `STATISTICS` to values in 0..1.

    A value is -1 where nothing could be measured (no object in that area range), as in the official code.

    Attributes:
        kind: "coco" or "ytvis".
        classes: names of the classes, in order of their category ids.
        category_ids: their ids.
        objects: annotated objects of each class that count (no crowds).
        predictions: predictions of each class.
        precision: float64 (T, R, K, A, M): IoU thresholds 0.50..0.95, recall points 0..1 in steps of 0.01,
            classes, areas (all, small, medium, large), most predictions (1, 10, 100).
        recall: float64 (T, K, A, M).
        scores: float64 (T, R, K, A, M), the score at which each recall point is reached.

    Example:
        >>> result = evaluate("gt.json", "results.json")  # doctest: +SKIP
        >>> result["AP"], result.per_class["person"]["AP50"]  # doctest: +SKIP
    """

    kind: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    objects: tuple[int, ...]
    predictions: tuple[int, ...]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]

    @cached_property
    def stats(self) -> NDArray[np.float64]:
        """The twelve statistics as an array, in the order of `STATISTICS`."""
        return _statistics(self.precision, self.recall)

    @cached_property
    def per_class(self) -> dict[str, dict[str, float]]:
        """The twelve statistics of each class."""
        return {
            name: _named(_statistics(self.precision[:, :, [k]], self.recall[:, [k]]))
            for k, name in enumerate(self.classes)
        }

    def curve(self, class_name: str, iou: float | None = None) -> NDArray[np.float64]:
        """Precision at the 101 recall points of one class at an IoU threshold, or the mean over all of them.

        All areas, 100 predictions. -1 everywhere for a class without objects.
        """
        k = self.classes.index(class_name)
        curves = self.precision[:, :, k, 0, -1]
        if iou is None:
            return np.asarray(curves.mean(0), np.float64)
        nearest = int(np.argmin(np.abs(IOU_THRESHOLDS - iou)))
        if abs(IOU_THRESHOLDS[nearest] - iou) > 1e-6:
            raise ValueError(f"expected an IoU threshold of 0.50, 0.55, ..., 0.95, got {iou}")
        return np.asarray(curves[nearest], np.float64)

    def best_f1(self, class_name: str, iou: float = 0.5) -> tuple[float, float]:
        """The greatest F1 of precision and recall of one class, and the score threshold that gives it.

        At one IoU threshold, all areas, 100 predictions, at the recall points; (-1, -1) without objects.
        A good default threshold for showing this class.
        """
        precision = self.curve(class_name, iou)
        nearest = int(np.argmin(np.abs(IOU_THRESHOLDS - iou)))
        scores = self.scores[nearest, :, self.classes.index(class_name), 0, -1]
        if precision[0] < 0:
            return -1.0, -1.0
        f1 = 2 * precision * RECALL_POINTS / np.maximum(precision + RECALL_POINTS, 1e-12)
        best = int(np.argmax(f1))
        return float(f1[best]), float(scores[best])

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves, ready for JSON."""
        return {
            "kind": self.kind,
            **_named(self.stats),
            "per_class": {
                name: {
                    "objects": self.objects[k],
                    "predictions": self.predictions[k],
                    **self.per_class[name],
                    **dict(zip(("F1", "F1_threshold"), self.best_f1(name), strict=True)),
                }
                for k, name in enumerate(self.classes)
            },
        }

    def __getitem__(self, name: str) -> float:
        try:
            return float(self.stats[STATISTICS.index(name)])
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(STATISTICS)

    def __len__(self) -> int:
        return len(STATISTICS)

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in _named(self.stats).items())
        return f"Evaluation({self.kind}, {len(self.classes)} classes: {values})"


def _named(stats: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(STATISTICS, stats, strict=True)}


def _statistics(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    at75 = int(np.argmin(np.abs(IOU_THRESHOLDS - 0.75)))
    parts = [
        precision[:, :, :, 0, -1],
        precision[0, :, :, 0, -1],
        precision[at75, :, :, 0, -1],
        *(precision[:, :, :, area, -1] for area in (1, 2, 3)),
        *(recall[:, :, 0, most] for most in (0, 1, 2)),
        *(recall[:, :, area, -1] for area in (1, 2, 3)),
    ]
    return np.array([part[part > -1].mean() if (part > -1).any() else -1.0 for part in parts])
