"""This project's engine."""

from __future__ import annotations

from benchmarks.contestants.base import Array, Case, Files, Outputs
from mobileinst import Backbone, __version__
from mobileinst.engine import NativeModel
from mobileinst.weights import load_weights


class MobileInstEngine:
    """The native plan; gives the same arrays in the same layout as the other engines do."""

    def convert(self, files: Files, case: Case) -> None:
        pass

    def load(self, files: Files, case: Case) -> None:
        self.part, weights = case.part, files.own_weights(case.precision)
        if case.part == "backbone":
            self.backbone = Backbone(weights, threads=case.threads, precision=case.precision)
            return
        model = NativeModel(load_weights(weights), threads=case.threads, precision=case.precision)
        self.session = model.session(case.height, case.image_width)

    def run(self, image: Array) -> Outputs:
        if self.part == "backbone":
            return self.backbone.features(image)
        session = self.session
        session.load_input(image)
        session.run_features()
        if self.part == "features":
            # pooled and x6 stay inside the plan, where the instance decoder reads them
            return {"mask_features": session.mask_features()}
        class_logits, objectness_logits, kernels = session.run_instances()
        found = {
            "class_logits": class_logits,
            "objectness_logits": objectness_logits,
            "kernels": kernels,
            "mask_logits": session.mask_logits(kernels),
        }
        return found if self.part == "masks" else {**found, "mask_features": session.mask_features()}

    def version(self) -> str:
        return __version__


def make(name: str) -> MobileInstEngine:
    return MobileInstEngine()
