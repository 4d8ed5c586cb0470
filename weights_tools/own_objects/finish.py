"""The end of a training: weights with measured thresholds, and what they reach, through the native engine.

The weights also hold ranges for int8, from images that they were trained on, unless too much is lost by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobileinst.engine.precision import PrecisionName, offered_precisions
from mobileinst.evaluation import Evaluation, coco
from mobileinst.evaluation.runner import run_coco
from mobileinst.segmenter import Segmenter
from mobileinst.weights import Weights, load_weights, save_weights
from weights_tools.quantise import quantise
from weights_tools.training.config import TrainingConfig
from weights_tools.training.export import export

#: Scores of the shipped weights: where tracks begin and end fits them.
_POWERS = (1.0, 1.0, 1.0)
#: Least score of results that are measured.
_LEAST = 0.02
#: Of thresholds whose F1 is this near to the best, the lowest is taken; tracks begin at 1.25 times it.
_NEAR = 0.005
_RANGE = (0.03, 0.7)
#: Threshold of a class that can't be measured.
_UNKNOWN = 0.25
#: AP that int8 may lose for its ranges to be kept.
_INT8_LOSS = 0.01


@dataclass(frozen=True)
class Outcome:
    """What was reached.

    Attributes:
        evaluation: On all images to measure on, in float32 or halves.
        thresholds: Of each class.
        ranges: Whether the weights hold ranges for int8.
        int8: AP in int8, None where the instruction set in use has none.
    """

    evaluation: Evaluation
    thresholds: tuple[float, ...]
    ranges: bool
    int8: float | None


def finish(config: TrainingConfig, run: Path, output: Path, notes: str) -> Outcome:
    """Write the best weights of a run with the thresholds of the best F1; ``output`` appears at the end.

    Raises:
        ValueError: if the run has no weights. OSError: if a file can't be written.
    """
    validation = config.validation
    assert validation is not None
    draft = run / "draft.safetensors"
    export(
        config, run, draft, score_powers=_POWERS, score_threshold=_LEAST, size=validation.size, notes=notes
    )
    try:
        evaluation = measure(draft, Path(validation.annotations), config.classes)
        limits = tuple(threshold(evaluation, name) for name in config.classes)
        weights = load_weights(draft)
        metadata = {**weights.metadata, "card": dict(weights.card), "score_threshold": list(limits)}
        # what the weights began from was learned from its own sets, whose terms go along
        earlier = load_weights(Path(config.init)).card.get("training_sets", {})
        sets = {**earlier, **metadata["card"]["training_sets"]}
        metadata["card"] |= {"validation": _summary(evaluation), "training_sets": sets}
        plain = Weights(weights.tensors, metadata)
        _save(draft, plain)
        final, ranges, int8 = _with_int8(config, draft, plain, evaluation["AP"])
        _save(output, final)
    finally:
        draft.unlink(missing_ok=True)
    return Outcome(evaluation, limits, ranges, int8)


def _save(path: Path, weights: Weights) -> None:
    """Write weights, matrices and filters in halves."""
    tensors = {
        name: np.asarray(t, np.float16 if t.ndim >= 2 else np.float32) for name, t in weights.tensors.items()
    }
    save_weights(path, tensors, weights.metadata)


def _with_int8(
    config: TrainingConfig, draft: Path, plain: Weights, ap: float
) -> tuple[Weights, bool, float | None]:
    """The weights with ranges if int8 keeps AP, whether it does, and its AP where it can be measured."""
    part, validation = config.train[0], config.validation
    assert validation is not None
    ranged, _, _ = quantise(draft, Path(part.annotations), Path(part.images))
    if "int8" not in offered_precisions():
        return ranged, True, None
    _save(draft, ranged)
    found = measure(draft, Path(validation.annotations), config.classes, "int8")["AP"]
    kept = found >= ap - _INT8_LOSS
    return ranged if kept else plain, kept, found


def measure(
    weights: Path, annotations: Path, classes: tuple[str, ...], precision: PrecisionName = "auto"
) -> Evaluation:
    """Mask AP of a weights file on prepared images."""
    report = run_coco(Segmenter(weights, precision=precision), annotations, "/", score_threshold=_LEAST)
    return coco.evaluate(annotations, report.results, classes=classes)


def threshold(evaluation: Evaluation, name: str) -> float:
    """The lowest score threshold of a class whose F1 is all but the best, rounded."""
    if name not in evaluation.classes or evaluation.best_f1(name)[0] <= 0:
        return _UNKNOWN
    precision = evaluation.curve(name, 0.5)
    scores = evaluation.scores[0, :, evaluation.classes.index(name), 0, -1]
    recall = np.linspace(0.0, 1.0, len(precision))
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    good = scores[f1 >= f1.max() - _NEAR]
    return round(float(np.clip(good.min(), *_RANGE)), 3)


def _summary(evaluation: Evaluation) -> Mapping[str, Any]:
    """AP and AP50 in percent, of all and by class, for the model card."""
    found = {name: round(100 * evaluation[name], 2) for name in ("AP", "AP50", "AP75")}
    for name, values in evaluation.per_class.items():
        found |= {f"{key} {name}": round(100 * values[key], 2) for key in ("AP", "AP50")}
    return found
