"""OpenVINO's CPU plugin; single precision is forced, since it would take bfloat16 where the CPU has it."""

from __future__ import annotations

import openvino

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs


class OpenVinoEngine:
    """A compiled model for latency."""

    def convert(self, files: Files, case: Case) -> None:
        pass

    def load(self, files: Files, case: Case) -> None:
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": str(case.threads),
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        self.compiled = core.compile_model(core.read_model(str(files.onnx)), "CPU", settings)
        self.request = self.compiled.create_infer_request()
        self.names = OUTPUTS[case.part]

    def run(self, image: Array) -> Outputs:
        found = self.request.infer({0: image[None]}, share_inputs=True, share_outputs=True)
        return {name: found[i] for i, name in enumerate(self.names)}

    def version(self) -> str:
        return str(openvino.__version__).split("-")[0]


def make(name: str) -> OpenVinoEngine:
    return OpenVinoEngine()
