"""The metadata of a weights file: configuration, classes, normalisation, thresholds and model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import SIZE_LIMITS
from ..io.terminal import short
from ..network.config import ModelConfig
from .safetensors import WeightsError

FORMAT = 1

KINDS = ("model", "backbone")

MAX_SCORE_POWER = 8
MAX_CLASSES, MAX_CLASS_NAME = 10_000, 200
#: SparseInst's: sqrt(class * objectness) * maskness.
SCORE_POWERS = (0.5, 0.5, 1.0)

#: Least and largest value.
Range = tuple[float, float]


class Weights:
    """Parameters by official name, with the metadata that a run needs.

    `tensors` maps names to float32 arrays in PyTorch layout; `metadata` is the checked JSON object of the
    file's ``mobileinst`` key; `path` is the file that they were read from. Raises WeightsError when the
    metadata is incomplete or contradicts itself.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, Any]) -> None:
        self.tensors = tensors
        self.path: Path | None = None
        self.metadata = dict(metadata)
        _check_metadata(self.metadata)
        self.kind: str = self.metadata.get("kind", "model")
        self.config: ModelConfig = _config(self.metadata["config"])
        self.classes: tuple[str, ...] = tuple(self.metadata["classes"])
        if self.kind == "model" and len(self.classes) != self.config.classes:
            raise WeightsError(
                f"metadata names {len(self.classes)} classes, its configuration has {self.config.classes}"
            )
        self.mean: tuple[float, ...] = tuple(map(float, self.metadata["mean"]))
        self.std: tuple[float, ...] = tuple(map(float, self.metadata["std"]))
        self.color: str = self.metadata["color"]
        self.size: int = self.metadata["size"]
        self.score_threshold = check_score_threshold(self.metadata["score_threshold"], len(self.classes))
        self.score_powers = _score_powers(self.metadata)
        self.version: str = self.metadata["version"]
        self.card: dict[str, Any] = self.metadata["card"]
        self.ranges: dict[str, Range] = _ranges(self.metadata.get("ranges", {}))
        self.float_nodes: tuple[str, ...] = _float_nodes(self.metadata.get("float_nodes", []))

    @property
    def files(self) -> list[Path]:
        """The files that they were read from."""
        return [] if self.path is None else [self.path]

    def __repr__(self) -> str:
        count = sum(t.size for t in self.tensors.values())
        return f"Weights({self.config.backbone}, classes={list(self.classes)}, {count:,} values)"


def _ranges(value: Any) -> dict[str, Range]:
    """Least and largest value of nodes by name, which 8-bit integers need."""
    if not isinstance(value, dict):
        raise WeightsError(f"metadata 'ranges' must be an object, got {short(value)}")
    for name, limits in value.items():
        numbers = isinstance(limits, (list, tuple)) and len(limits) == 2 and all(map(is_number, limits))
        if not numbers or not -1e30 < limits[0] <= limits[1] < 1e30:
            raise WeightsError(
                f"metadata 'ranges': expected a least and a largest value of {short(name)}, "
                f"got {short(limits)}"
            )
    return {name: (float(low), float(high)) for name, (low, high) in value.items()}


def _float_nodes(value: Any) -> tuple[str, ...]:
    """Names of nodes that compute in floats whatever has a range."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise WeightsError(f"metadata 'float_nodes' must be a list of names, got {short(value)}")
    return tuple(value)


def check_score_threshold(value: Any, classes: int) -> float | tuple[float, ...]:
    """A threshold in 0..1, or one for each class; WeightsError for anything else."""
    if isinstance(value, (list, tuple)):
        if len(value) != classes:
            raise WeightsError(f"score_threshold must be a number or {classes} numbers, got {len(value)}")
        if all(is_number(v) and 0 <= v <= 1 for v in value):
            return tuple(map(float, value))
    elif is_number(value) and 0 <= value <= 1:
        return float(value)
    raise WeightsError(f"score_threshold must be between 0 and 1, got {short(value)}")


def _score_powers(metadata: Mapping[str, Any]) -> tuple[float, float, float]:
    """Powers of class probability, objectness and maskness whose product is a query's score."""
    value = metadata.get("score_powers", SCORE_POWERS)
    numbers = isinstance(value, (list, tuple)) and len(value) == 3 and all(map(is_number, value))
    if numbers and all(0 <= power <= MAX_SCORE_POWER for power in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise WeightsError(
        f"metadata 'score_powers' must be three numbers in 0..{MAX_SCORE_POWER}, got {short(value)}"
    )


def _check_metadata(metadata: dict[str, Any]) -> None:
    expected = {
        "format": int,
        "config": dict,
        "classes": list,
        "mean": list,
        "std": list,
        "color": str,
        "size": int,
        "version": str,
        "card": dict,
    }
    missing = [key for key in (*expected, "score_threshold") if key not in metadata]
    if missing:
        raise WeightsError(f"metadata lacks {', '.join(missing)}")
    for key, kind in expected.items():
        if not isinstance(metadata[key], kind) or isinstance(metadata[key], bool):
            raise WeightsError(f"metadata {key!r} must be a {kind.__name__}, got {short(metadata[key])}")
    if metadata["format"] != FORMAT:
        raise WeightsError(f"format {metadata['format']} is unknown, this version reads format {FORMAT}")
    kind = metadata.get("kind", "model")
    if kind not in KINDS:
        raise WeightsError(f"metadata 'kind' must be one of {', '.join(KINDS)}, got {short(kind)}")
    classes = metadata["classes"]
    if kind == "backbone" and classes:
        raise WeightsError(f"metadata 'classes' of a backbone must be empty, got {short(classes)}")
    names = all(isinstance(c, str) and c for c in classes)
    if not names or len(set(classes)) < len(classes) or (kind == "model" and not classes):
        raise WeightsError(f"metadata 'classes' must be different names, got {short(classes)}")
    if len(classes) > MAX_CLASSES or max(map(len, classes), default=0) > MAX_CLASS_NAME:
        raise WeightsError(
            f"metadata 'classes' must be at most {MAX_CLASSES} names of at most {MAX_CLASS_NAME} characters, "
            f"got {len(classes)} of up to {max(map(len, classes))}"
        )
    for key in ("mean", "std"):
        values = metadata[key]
        if len(values) != 3 or not all(is_number(v) and abs(v) < 1e6 for v in values):
            raise WeightsError(f"metadata {key!r} must be 3 numbers, got {short(values)}")
    if min(metadata["std"]) <= 0:
        raise WeightsError(f"metadata 'std' must be positive, got {short(metadata['std'])}")
    if metadata["color"] not in ("rgb", "bgr"):
        raise WeightsError(f"metadata 'color' must be 'rgb' or 'bgr', got {short(metadata['color'])}")
    if not SIZE_LIMITS[0] <= metadata["size"] <= SIZE_LIMITS[1]:
        raise WeightsError(
            f"metadata 'size' must be in {SIZE_LIMITS[0]}..{SIZE_LIMITS[1]}, got {short(metadata['size'])}"
        )


def _config(fields: dict[str, Any]) -> ModelConfig:
    try:
        return ModelConfig.from_dict(fields)
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"configuration is not valid: {short(error)}") from None


def is_number(value: Any) -> bool:
    # Comparing (instead of math.isfinite) also holds for integers too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
