"""ONNX Runtime, CPU execution provider."""

from __future__ import annotations

import onnxruntime

from benchmarks.contestants.base import Array, Case, Files, Outputs


class OnnxRuntimeEngine:
    """One session with all graph optimisations; spinning of idle threads stays at its default."""

    def convert(self, files: Files, case: Case) -> None:
        pass

    def load(self, files: Files, case: Case) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(files.onnx), options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    def run(self, image: Array) -> Outputs:
        values = self.session.run(None, {self.input: image[None]})
        return dict(zip(self.names, values, strict=True))

    def version(self) -> str:
        return str(onnxruntime.__version__)


def make(name: str) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine()
