"""PyTorch, eager or compiled by its default backend with frozen weights."""

from __future__ import annotations

import keyword
from typing import Any

import torch

from benchmarks.contestants.base import OUTPUTS, Array, Case, Files, Outputs
from weights_tools.loading import torch_model
from weights_tools.torch_ops import MobileInst, TorchOps


def load_module(files: Files, part: str, ops: type[TorchOps] = TorchOps) -> torch.nn.Module:
    """The PyTorch interpreter with the weights of the file, in evaluation mode.

    Args:
        ops: Operations to compute with; ExportOps avoids what some converters don't know.
    """
    network = torch_model(files.weights)
    _rename_keywords(network, ops)
    return _Outputs(network, part).eval().requires_grad_(False)


class _Renamed:
    """Finds the modules of a network under their official names after `_rename_keywords`."""

    def __init__(self, network: MobileInst) -> None:
        self.network = network
        self.training = False

    def get_submodule(self, name: str) -> torch.nn.Module:
        return self.network.get_submodule(".".join(map(_python_name, name.split("."))))

    def parameters(self) -> Any:
        return self.network.parameters()


def _python_name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _rename_keywords(network: MobileInst, ops: type[TorchOps]) -> None:
    """PyTorch's compilers write Python code with the modules' names, where `global` and `class` can't be."""
    for module in list(network.modules()):
        for name in list(module._modules):
            module._modules[_python_name(name)] = module._modules.pop(name)
    network.use_ops(ops(_Renamed(network)))  # type: ignore[arg-type]


class _Outputs(torch.nn.Module):
    """Only the outputs that are compared, so that none is computed for nothing; in the order of OUTPUTS."""

    def __init__(self, network: MobileInst, part: str) -> None:
        super().__init__()
        self.network = network
        self.part = part

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.part == "backbone":
            levels = self.network.backbone_features(images)
            return levels.x3, levels.x4, levels.x5, levels.x6
        if self.part == "features":
            maps = self.network.features(images)
            return maps.mask_features, maps.pooled, maps.x6
        found = self.network(images)
        return tuple(found[name] for name in OUTPUTS[self.part])


class TorchEngine:
    """Channels-last eager mode, or torch.compile."""

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled

    def convert(self, files: Files, case: Case) -> None:
        pass

    def load(self, files: Files, case: Case) -> None:
        torch.set_num_threads(case.threads)
        module = load_module(files, case.part)
        self.names = OUTPUTS[case.part]
        if self.compiled:
            # weights become constants, which oneDNN packs once; needs inference_mode
            from torch._inductor import config

            config.freezing = True
            self.module = torch.compile(module)
        else:
            self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, image: Array) -> Outputs:
        x = torch.from_numpy(image)[None]
        if not self.compiled:
            x = x.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            values = self.module(x)
            return {n: value.contiguous().numpy() for n, value in zip(self.names, values, strict=True)}

    def version(self) -> str:
        return str(torch.__version__)


def make(name: str) -> TorchEngine:
    return TorchEngine(name == "torch-compiled")
