"""How long, at which size and with which settings a set is trained."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobileinst.weights import Weights
from weights_tools.training.augment import AugmentConfig
from weights_tools.training.config import OptimiserConfig, Phase, SetConfig, TrainingConfig, ValidationConfig
from weights_tools.training.data import DataConfig
from weights_tools.training.losses import LossWeights

#: Shorter sides that may be chosen.
SIZES = (320, 384, 448, 512, 640)
#: Small objects (the least quarter) should cover so many pixels each way.
_WANTED = 24.0
#: Images in all are this times the root of the set's: 80 passes of 60 images, 28 of 500.
_PASSES = 620.0
_LEAST, _MOST = 3000, 60_000
#: Minutes that training may take by default: up to so many images.
_MINUTES = ((100, 10.0), (1 << 60, 30.0))
#: The part of a detector's trunk that knows edges and textures stays as it is.
_FROZEN = ("backbone.stem.", "backbone.dark2.", "backbone.dark3.")
_BATCH = 8
#: Measurements of AP on the way, and how many of them without a gain end the training.
_MEASURED, _PATIENCE = 10, 4
_MEASURED_IMAGES = 60


@dataclass(frozen=True)
class Plan:
    """What is chosen for a set. minutes: longest time, 0 for no limit."""

    size: int
    images: int
    minutes: float


def choose(extents: NDArray[np.float64], pictures: int) -> Plan:
    """The plan for a set by the extents of its objects (shares of the shorter side) and its images."""
    small = float(np.quantile(extents, 0.25)) if len(extents) else 1.0
    size = next((s for s in SIZES[1:] if s * small >= _WANTED), SIZES[-1])
    images = int(np.clip(_PASSES * np.sqrt(pictures), _LEAST, _MOST))
    return Plan(size, images, next(minutes for most, minutes in _MINUTES if pictures <= most))


def longest_side(size: int) -> int:
    """Longer side beyond which images are shrunk: what the strongest zoom of the augmentation needs."""
    return round(size * 4 / 3 * 1.6)


def flips(classes: Sequence[str]) -> bool:
    """Whether mirrored images show objects of the same class: no class is of the left or the right."""
    words = {w for name in classes for w in "".join(c if c.isalpha() else " " for c in name.lower()).split()}
    return not words & {"left", "right"}


def training_config(
    start: Path,
    weights: Weights,
    classes: Sequence[str],
    annotations: tuple[Path, Path],
    plan: Plan,
    aspect: float,
    seed: int,
) -> TrainingConfig:
    """The trainer's configuration.

    Args:
        start: Weights file to start from, and what it holds.
        annotations: COCO files to train and to measure on.
        aspect: Mean ratio of the images' longer and shorter sides.
    """
    detects = weights.config.query_source == "places"
    own = dataclasses.replace(weights.config, classes=len(classes), kinds=())
    centre = min(aspect, 4 / 3)  # how the runtime sees an image, relative to a square crop
    steps = max(plan.images // _BATCH, 1)
    return TrainingConfig(
        model=own,
        classes=tuple(classes),
        train=(SetConfig(str(annotations[0]), "/"),),
        images=plan.images,
        batch=_BATCH,
        phases=(Phase(1.0, (plan.size,)),),
        seed=seed,
        init=str(start),
        frozen=_FROZEN if detects else (),
        fast=("backbone.head.",),
        workers=1 if (os.cpu_count() or 1) > 1 else 0,
        checkpoint_minutes=1.0,
        data=DataConfig(
            mean=_three(weights.mean),
            std=_three(weights.std),
            augment=AugmentConfig(
                scale=(0.6 * centre, 1.6 * centre), flip=0.5 if flips(classes) else 0.0, paste=0.3
            ),
        ),
        optimiser=OptimiserConfig(
            lr=4e-4,
            backbone_lr=0.25,
            warmup=min(50, max(steps // 10, 1)),
            flat=0.3,
            final=0.02,
            clip=20.0,
            ema=0.995,
        ),
        losses=LossWeights(classification=1.0, places=1.0 if detects else 0.0),
        validation=ValidationConfig(
            str(annotations[1]),
            "/",
            size=plan.size,
            limit=_MEASURED_IMAGES,
            every_minutes=1e9,
            every_share=1.0 / _MEASURED,
            patience=_PATIENCE,
        ),
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
