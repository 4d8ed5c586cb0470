"""OpenVINO's CPU plugin. Single precision is forced, since it would take bfloat16 where the CPU has it."""

from __future__ import annotations

import os
from pathlib import Path

import openvino

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs, make_once


class OpenVinoEngine:
    """A compiled model for latency; in int8 by NNCF's quantisation after training, what stays in floats in
    bfloat16 where the CPU has it and ONEDNN_MAX_CPU_ISA, which the plugin's kernels heed, allows it."""

    def convert(self, files: Files, case: Case) -> None:
        if case.precision == "int8":
            import nncf

            target = files.converted(".int8.xml")
            made_by = f"nncf {nncf.__version__}, {files.calibration}"
            make_once(target, made_by, lambda: _quantise(files, target, case))

    def load(self, files: Files, case: Case) -> None:
        case.expect_precision("fp32", "bf16", "int8")
        path = files.converted(".int8.xml") if case.precision == "int8" else files.onnx
        core = openvino.Core()
        # The plugin takes bfloat16 if the CPU has it, and lacks kernels of it where AVX-512 is forbidden.
        limited = os.environ.get("ONEDNN_MAX_CPU_ISA", "").startswith(("SSE", "AVX2"))
        floats = case.precision == "fp32" or (case.precision == "int8" and limited)
        settings = {
            "INFERENCE_NUM_THREADS": str(case.threads),
            "INFERENCE_PRECISION_HINT": "f32" if floats else "bf16",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        self.compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
        self.request = self.compiled.create_infer_request()
        self.names = OUTPUTS[case.part]

    def run(self, image: Array) -> Outputs:
        found = self.request.infer({0: image[None]}, share_inputs=True, share_outputs=True)
        return {name: found[i] for i, name in enumerate(self.names)}

    def version(self) -> str:
        return str(openvino.__version__).split("-")[0]


def _quantise(files: Files, target: Path, case: Case) -> None:
    import nncf

    model = openvino.Core().read_model(str(files.onnx))
    pictures = nncf.Dataset(list(files.calibration_images(case)))
    quantised = nncf.quantize(model, pictures, preset=nncf.QuantizationPreset.MIXED)
    openvino.save_model(quantised, str(target), compress_to_fp16=False)


def make(name: str) -> OpenVinoEngine:
    return OpenVinoEngine()
