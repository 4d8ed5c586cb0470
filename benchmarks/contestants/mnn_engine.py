"""MNN, converted by mnnconvert from the ONNX file."""

from __future__ import annotations

import sys
from pathlib import Path

import MNN
import numpy as np

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs, make_once, run_tool
from benchmarks.support.machine import package_version

#: Else mnnconvert installs a package, over others' versions, to report what it converts.
_QUIET = {"PIP_NO_INDEX": "1"}


class MnnEngine:
    """A module on the CPU backend with high precision, or low, which is halves where the core has them. In
    int8 weights are 8-bit integers and so, by ranges of each run, are what they are multiplied with."""

    def convert(self, files: Files, case: Case) -> None:
        target = self._path(files, case)
        command = [str(Path(sys.executable).parent / "mnnconvert"), "-f", "ONNX"]
        command += ["--modelFile", str(files.onnx), "--MNNModel", str(target), "--bizCode", "x"]
        command += ["--weightQuantBits", "8"] if case.precision == "int8" else []
        make_once(target, f"MNN {self.version()}", lambda: run_tool(command, files.onnx.parent, _QUIET))

    def load(self, files: Files, case: Case) -> None:
        case.expect_precision("fp32", "fp16", "int8")
        self.names = OUTPUTS[case.part]
        precision = "high" if case.precision == "fp32" else "low"
        settings = {"backend": "CPU", "precision": precision, "numThread": case.threads}
        if case.precision == "int8":
            settings["memory"] = "low"
        self.runtime = MNN.nn.create_runtime_manager((settings,))
        self.module = MNN.nn.load_module_from_file(
            str(self._path(files, case)), ["image"], self.names, runtime_manager=self.runtime
        )

    def run(self, image: Array) -> Outputs:
        x = MNN.expr.const(image[None], list(image[None].shape), MNN.expr.NCHW)
        x = MNN.expr.convert(x, MNN.expr.NC4HW4)
        found = self.module.forward([x])
        return {name: self._read(value) for name, value in zip(self.names, found, strict=True)}

    @staticmethod
    def _path(files: Files, case: Case) -> Path:
        return files.converted(".int8.mnn" if case.precision == "int8" else ".mnn")

    @staticmethod
    def _read(value: MNN.expr.Var) -> Array:
        if value.data_format == MNN.expr.NC4HW4:
            value = MNN.expr.convert(value, MNN.expr.NCHW)
        return np.array(value.read(), dtype=np.float32)

    def version(self) -> str:
        return package_version("MNN")


def make(name: str) -> MnnEngine:
    return MnnEngine()
