"""The engines that are compared: one file each, all with the same three steps (see `base`)."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.contestants.base import Contestant

#: Name, module, class, and how the extra is installed.
CONTESTANTS = {
    "mobileinst": ("benchmarks.contestants.mobileinst_engine", "pip install ."),
    "onnxruntime": ("benchmarks.contestants.onnxruntime_engine", "pip install onnxruntime"),
    "openvino": ("benchmarks.contestants.openvino_engine", "pip install openvino"),
    "ncnn": ("benchmarks.contestants.ncnn_engine", "pip install ncnn pnnx"),
    "mnn": ("benchmarks.contestants.mnn_engine", "pip install MNN"),
    "litert": ("benchmarks.contestants.litert_engine", "pip install litert-torch"),
    "torch": ("benchmarks.contestants.torch_engine", "pip install torch"),
    "torch-compiled": ("benchmarks.contestants.torch_engine", "pip install torch"),
}

#: How what several of them need is installed, by module.
INSTALL = {
    "cv2": "pip install opencv-python-headless",
    "pycocotools": "pip install pycocotools",
    "torch": "pip install torch",
}


def make_contestant(name: str) -> Contestant:
    """The contestant of that name, not yet loaded.

    Raises:
        ValueError: for an unknown name.
        ImportError: if its engine isn't installed.
    """
    if name not in CONTESTANTS:
        raise ValueError(f"unknown contestant {name!r}; known are {', '.join(CONTESTANTS)}")
    module: Any = importlib.import_module(CONTESTANTS[name][0])
    contestant: Contestant = module.make(name)
    return contestant
