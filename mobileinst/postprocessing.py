"""What follows the network: scores, components and duplicates of the queries, and masks at the frame's size.

Facts and sources: docs/spec.md, Scores and masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import _native
from .engine import Session
from .masks.logits import run_lengths
from .masks.overlap import suppress_duplicates
from .results import Instances
from .tracking import Detections

#: A pixel belongs to a mask above this probability (SparseInst's, followed by the paper's sources).
MASK_THRESHOLD = 0.45
MASK_LOGIT = math.log(MASK_THRESHOLD / (1 - MASK_THRESHOLD))


@dataclass(frozen=True)
class Postprocessing:
    """From a session that has run the features of a frame to candidates and masks.

    score_powers: of class, objectness and maskness, whose product is a score. duplicate_iou, components: as
    of `Segmenter`.
    """

    score_powers: tuple[float, float, float]
    duplicate_iou: float
    components: str

    def masks(
        self, session: Session, kernels: NDArray[np.float32], margin: float = 0.0
    ) -> NDArray[np.float32]:
        """Mask logits of kernels, float32 (n, h, w), with the components that are wanted."""
        logits = session.mask_logits(kernels, margin)
        return logits if self.components == "all" else _native.heaviest_components(logits, MASK_LOGIT)

    def candidates(
        self, session: Session, floors: NDArray[np.float32]
    ) -> tuple[Detections, NDArray[np.float32]]:
        """Queries whose best class reaches its floor, best first, without duplicates; and their logits.

        Score = class^a x objectness^b x maskness^c. Maskness is at most 1, so queries below the floor without
        it need no mask.

        Raises:
            ValueError: if the network's outputs exceed single precision.
        """
        class_logits, objectness_logits, kernels = session.run_instances()
        check_finite(
            "these weights exceed single precision",
            class_logits=class_logits,
            objectness_logits=objectness_logits,
        )
        of_class, of_objectness, of_maskness = self.score_powers
        objectness = _sigmoid(objectness_logits.reshape(-1, 1))
        class_scores = _sigmoid(class_logits) ** of_class * objectness**of_objectness
        chosen = np.flatnonzero(_reach(class_scores, floors))
        logits = self.masks(session, kernels[chosen])
        maskness = _native.maskness(logits, MASK_THRESHOLD)[:, None]
        class_scores = class_scores[chosen] * maskness**of_maskness
        masks = logits > MASK_LOGIT
        kept = np.flatnonzero(_reach(class_scores, floors) & masks.any((1, 2)))
        best = np.max(class_scores[kept], 1, initial=0)
        kept = kept[suppress_duplicates(best, masks[kept], self.duplicate_iou)]
        return Detections(kernels[chosen][kept], class_scores[kept], masks[kept]), logits[kept]


def frame_instances(
    size: tuple[int, int],
    logits: NDArray[np.float32],
    boxes: NDArray[np.float32] | None,
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    ids: NDArray[np.int64] | None = None,
) -> Instances:
    """Those with at least one pixel in a frame of (height, width) pixels.

    Args:
        logits: (n, h, w) at the resolution of the mask features.
        boxes: (n, 4) at which masks end, as shares of the sides; or None.
        scores, labels, ids: (n,).
        classes: names that labels are indices into.
    """
    if not len(logits):
        return Instances.empty(size)
    runs = run_lengths(logits, size, MASK_LOGIT, boxes)
    seen = [i for i, lengths in enumerate(runs) if len(lengths) > 1]
    return Instances(
        size,
        [runs[i] for i in seen],
        scores[seen],
        labels[seen],
        [classes[labels[i]] for i in seen],
        None if ids is None else ids[seen],
    )


def check_finite(reason: str, **outputs: NDArray[np.float32]) -> None:
    """Raise ValueError for NaN or infinity: an overflow somewhere in the network."""
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise ValueError(f"the network's {name} are not finite: {reason}")


def _reach(class_scores: NDArray[np.float32], floors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether the best class of each row reaches that class's floor, bool (n,)."""
    labels = np.argmax(class_scores, 1)
    reached: NDArray[np.bool_] = np.take_along_axis(class_scores, labels[:, None], 1)[:, 0] >= floors[labels]
    return reached


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # Through tanh, which doesn't overflow.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)
