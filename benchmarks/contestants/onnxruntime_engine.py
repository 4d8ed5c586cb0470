"""ONNX Runtime, CPU execution provider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.contestants.base import Array, Case, Files, Outputs, make_once

#: Images that the ranges of 8-bit integers are taken from.
_IMAGES = 8


class OnnxRuntimeEngine:
    """One session with all graph optimisations; spinning of idle threads stays at its default.

    In int8 its own static quantisation: signed weights by channel, signed activations, QDQ, as its
    documentation advises for ARM.
    """

    def convert(self, files: Files, case: Case) -> None:
        if case.precision == "int8":
            target = files.converted(".int8.onnx")
            make_once(target, f"ONNX Runtime {self.version()}", lambda: _quantise(files.onnx, target, case))

    def load(self, files: Files, case: Case) -> None:
        case.expect_precision("fp32", "int8")
        path = files.converted(".int8.onnx") if case.precision == "int8" else files.onnx
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    def run(self, image: Array) -> Outputs:
        values = self.session.run(None, {self.input: image[None]})
        return dict(zip(self.names, values, strict=True))

    def version(self) -> str:
        return str(onnxruntime.__version__)


def _quantise(source: Path, target: Path, case: Case) -> None:
    from onnxruntime import quantization

    generator = np.random.default_rng(11)
    shape = (1, 3, case.height, case.image_width)
    images = ({"image": generator.standard_normal(shape, dtype=np.float32)} for _ in range(_IMAGES))

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, Array] | None:
            return next(images, None)

    prepared = target.with_suffix(".prepared.onnx")
    quantization.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    kinds = {"activation_type": quantization.QuantType.QInt8, "weight_type": quantization.QuantType.QInt8}
    quantization.quantize_static(str(prepared), str(target), Reader(), per_channel=True, **kinds)
    prepared.unlink()


def make(name: str) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine()
