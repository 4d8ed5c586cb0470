"""What a contestant's masks are worth: AP on annotated pictures, all else as in `Segmenter`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants.base import Array, Case, Contestant, Files, Outputs
from benchmarks.support.pictures import Pictures, network_input
from mobileinst import Segmenter
from mobileinst.engine.precision import FLOAT32
from mobileinst.evaluation.coco import evaluate
from mobileinst.evaluation.runner import run_coco
from mobileinst.network.selection import grown, kernel_boxes
from mobileinst.weights import Weights


def average_precision(
    contestant: Contestant, case: Case, files: Files, annotations: Path, images: Path
) -> float:
    """AP of a contestant that has loaded part "masks", every picture stretched to the case's size.

    Scores, components, duplicates and run lengths are those of Segmenter for all contestants.

    Raises:
        ValueError: if none of the network's classes is annotated.
    """
    segmenter = Segmenter(files.weights, threads=1, size=(case.height, case.image_width), precision="fp32")
    segmenter._model = _ContestantModel(contestant, case, segmenter.weights)  # type: ignore[assignment]
    data = Pictures(annotations, images).data()
    run = run_coco(segmenter, data, images)
    if run.mapping is None:
        raise ValueError(f"{annotations}: none of the network's classes is among the categories")
    return float(evaluate(data, run.results, classes=list(run.mapping.names))["AP"])


class _ContestantModel:
    """A Segmenter's network whose outputs a contestant computes."""

    def __init__(self, contestant: Contestant, case: Case, weights: Weights) -> None:
        self._contestant, self._case, self._weights = contestant, case, weights
        self._outputs: Outputs = {}
        self.threads, self.precision = 1, FLOAT32

    def session(self, height: int, width: int) -> _ContestantModel:
        return self

    def load_frame(self, frame: NDArray[np.uint8], *, bgr: bool = False) -> None:
        found = self._contestant.run(network_input(frame, self._case, self._weights, reverse=bgr))
        # a batch of 1 may stand before; what engines give may be theirs to write over
        ranks = {"class_logits": 2, "objectness_logits": 1, "kernels": 2, "mask_logits": 3}
        self._outputs = {
            name: np.array(found[name], np.float32).reshape(found[name].shape[-rank:])
            for name, rank in ranks.items()
        }

    def run_features(self) -> None:
        """Done by load_frame()."""

    def run_instances(self) -> tuple[Array, Array, Array]:
        outputs = self._outputs
        return outputs["class_logits"], outputs["objectness_logits"].reshape(-1), outputs["kernels"]

    def mask_logits(self, kernels: Array, margin: float = 0.0) -> Array:
        """Those of some of the kernels."""
        rows = [int((self._outputs["kernels"] == kernel).all(1).argmax()) for kernel in kernels]
        return np.ascontiguousarray(self._outputs["mask_logits"][rows])

    def boxes(self, kernels: Array, margin: float = 0.0) -> Array | None:
        places = self._weights.config.query_source == "places"
        return grown(kernel_boxes(kernels), margin) if places else None
