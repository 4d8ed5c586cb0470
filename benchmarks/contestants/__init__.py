"""The engines that are compared: one file each, all with the same three steps (see `base`)."""

from __future__ import annotations

import importlib
from typing import Any

from contestants.base import Contestant

#: Name, module, class, and how the extra is installed.
CONTESTANTS = {
    "mobileinst": ("contestants.mobileinst_engine", "pip install ."),
    "onnxruntime": ("contestants.onnxruntime_engine", "pip install onnxruntime"),
    "openvino": ("contestants.openvino_engine", "pip install openvino"),
    "ncnn": ("contestants.ncnn_engine", "pip install ncnn pnnx"),
    "mnn": ("contestants.mnn_engine", "pip install MNN"),
    "litert": ("contestants.litert_engine", "pip install litert-torch"),
    "torch": ("contestants.torch_engine", "pip install torch"),
    "torch-compiled": ("contestants.torch_engine", "pip install torch"),
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
