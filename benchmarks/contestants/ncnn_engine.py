"""ncnn, converted by pnnx from traced PyTorch, the way its authors recommend."""

from __future__ import annotations

import sys
from pathlib import Path

import ncnn
import numpy as np

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs, make_once, run_tool
from benchmarks.support.machine import package_version


class NcnnEngine:
    """An Extractor per run; storage and arithmetic in floats, or in halves where the core has them."""

    def convert(self, files: Files, case: Case) -> None:
        made_by = f"pnnx {package_version('pnnx')}"
        make_once(files.converted(".ncnn.param"), made_by, lambda: self._write(files, case))

    @staticmethod
    def _write(files: Files, case: Case) -> None:
        import torch

        from benchmarks.contestants.torch_engine import load_module

        image = torch.zeros(1, 3, case.height, case.image_width)
        traced = torch.jit.trace(load_module(files, case.part), image, check_trace=False)
        path = files.converted(".pt")
        traced.save(str(path))
        shape = f"inputshape=[1,3,{case.height},{case.image_width}]"
        run_tool([str(Path(sys.executable).parent / "pnnx"), str(path), shape, "fp16=0"], path.parent)
        path.unlink()

    def load(self, files: Files, case: Case) -> None:
        case.expect_precision("fp32", "fp16")
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = case.threads
        options.use_vulkan_compute = False
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(options, name, case.precision == "fp16")
        options.use_bf16_storage = False
        for suffix, read in ((".ncnn.param", self.net.load_param), (".ncnn.bin", self.net.load_model)):
            if read(str(files.converted(suffix))):
                raise RuntimeError(f"ncnn can't read {files.converted(suffix)}")
        self.outputs = {name: f"out{i}" for i, name in enumerate(OUTPUTS[case.part])}  # pnnx's names

    def run(self, image: Array) -> Outputs:
        with self.net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(image))
            return {name: self._extract(extractor, blob) for name, blob in self.outputs.items()}

    @staticmethod
    def _extract(extractor: ncnn.Extractor, blob: str) -> Array:
        status, mat = extractor.extract(blob)
        if status:
            raise RuntimeError(f"ncnn can't compute {blob}")
        return np.array(mat)

    def version(self) -> str:
        return str(ncnn.__version__)


def make(name: str) -> NcnnEngine:
    return NcnnEngine()
