"""LiteRT (formerly TensorFlow Lite) with its XNNPACK delegate, converted from PyTorch by litert-torch."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs, make_once
from benchmarks.support.machine import package_version


class LiteRtEngine:
    """The interpreter's single signature."""

    def convert(self, files: Files, case: Case) -> None:
        target = files.converted(".tflite")
        made_by = f"litert-torch {package_version('litert-torch')}"
        make_once(target, made_by, lambda: self._write(target, files, case))

    @staticmethod
    def _write(target: Path, files: Files, case: Case) -> None:
        import litert_torch
        import torch

        from benchmarks.contestants.torch_engine import load_module
        from weights_tools.export_onnx import ExportOps

        image = torch.zeros(1, 3, case.height, case.image_width)
        module = load_module(files, case.part, ExportOps)
        litert_torch.convert(module, (image,)).export(str(target))

    def load(self, files: Files, case: Case) -> None:
        interpreter = Interpreter(str(files.converted(".tflite")), num_threads=case.threads)
        interpreter.allocate_tensors()
        self.runner = interpreter.get_signature_runner()
        self.input = next(iter(self.runner.get_input_details()))
        self.names = OUTPUTS[case.part]

    def run(self, image: Array) -> Outputs:
        found = self.runner(**{self.input: image[None]})
        return {name: found[f"output_{i}"] for i, name in enumerate(self.names)}

    def version(self) -> str:
        return package_version("ai-edge-litert")


def make(name: str) -> LiteRtEngine:
    return LiteRtEngine()
