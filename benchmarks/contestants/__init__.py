"""The engines that are compared: one file each, all with the same three steps (see `base`)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.contestants.base import Contestant


class Engine(NamedTuple):
    """Module in this package, how the extra is installed, and the precisions that it is measured in."""

    module: str
    install: str
    precisions: tuple[str, ...] = ("fp32",)


CONTESTANTS = {
    "mobileinst": Engine("mobileinst_engine", "pip install .", ("fp32", "fp16", "int8", "auto")),
    "onnxruntime": Engine("onnxruntime_engine", "pip install onnxruntime", ("fp32", "int8")),
    "openvino": Engine("openvino_engine", "pip install openvino nncf", ("fp32", "bf16", "int8")),
    "ncnn": Engine("ncnn_engine", "pip install ncnn pnnx", ("fp32", "fp16")),
    "mnn": Engine("mnn_engine", "pip install MNN", ("fp32", "fp16", "int8")),
    "litert": Engine("litert_engine", "pip install litert-torch"),
    "torch": Engine("torch_engine", "pip install torch"),
    "torch-compiled": Engine("torch_engine", "pip install torch"),
}

#: How what several of them need is installed, by module.
INSTALL = {
    "cv2": "pip install opencv-python-headless",
    "nncf": "pip install nncf",
    "pycocotools": "pip install pycocotools",
    "torch": "pip install torch",
}


def entries(engines: Iterable[str], precisions: Iterable[str]) -> list[str]:
    """Engines in each precision that they have, as tables name them: "ncnn" in fp32, else "ncnn fp16"."""
    return [
        name if precision == "fp32" else f"{name} {precision}"
        for precision in precisions
        for name in engines
        if precision in CONTESTANTS[name].precisions
    ]


def parse_entry(entry: str) -> tuple[str, str]:
    """Engine and precision of a table's name, which may end with "+" and a post-processing."""
    name, _, precision = entry.partition("+")[0].partition(" ")
    return name, precision or "fp32"


def is_ours(entry: str) -> bool:
    """Whether a table's name is that of this project's engine."""
    return parse_entry(entry)[0] == "mobileinst"


def make_contestant(name: str) -> Contestant:
    """The contestant of that name, not yet loaded.

    Raises:
        ValueError: for an unknown name.
        ImportError: if its engine isn't installed.
    """
    if name not in CONTESTANTS:
        raise ValueError(f"unknown contestant {name!r}; known are {', '.join(CONTESTANTS)}")
    module: Any = importlib.import_module(f"{__name__}.{CONTESTANTS[name].module}")
    contestant: Contestant = module.make(name)
    return contestant
