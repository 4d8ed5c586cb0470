"""ONNX Runtime, CPU execution provider."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from benchmarks.contestants.base import Array, Case, Files, Outputs, make_once

#: What is rounded: with sums, softmax and the rest it takes longer than in fp32 (TopFormer-B at 640, AMD
#: EPYC: 118 ms instead of 48, 103 in fp32).
_OPERATIONS = ["Conv", "Relu", "Clip"]


class OnnxRuntimeEngine:
    """One session with all graph optimisations; spinning of idle threads stays at its default.

    In int8 its own static quantisation (QDQ) of convolutions, with signed weights by channel.
    """

    def convert(self, files: Files, case: Case) -> None:
        if case.precision == "int8":
            target = files.converted(".int8.onnx")
            made_by = f"ONNX Runtime {self.version()}, {files.calibration}"
            make_once(target, made_by, lambda: _quantise(files, target, case))

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


def _quantise(files: Files, target: Path, case: Case) -> None:
    from onnxruntime import quantization

    images = ({"image": image} for image in files.calibration_images(case))

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, Array] | None:
            return next(images, None)

    prepared = target.with_suffix(".prepared.onnx")
    quantization.quant_pre_process(str(files.onnx), str(prepared), skip_symbolic_shape=True)
    # Signed activations take 2.5 times as long on x86; ARM, for which there are no pictures, wants them.
    signed, unsigned = quantization.QuantType.QInt8, quantization.QuantType.QUInt8
    activations = signed if files.calibration is None else unsigned
    kinds = {"activation_type": activations, "weight_type": signed}
    quantization.quantize_static(
        str(prepared), str(target), Reader(), per_channel=True, op_types_to_quantize=_OPERATIONS, **kinds
    )
    prepared.unlink()


def make(name: str) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine()
