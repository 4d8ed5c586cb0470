"""Small models with random weights, and what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst.engine import NativeModel
from mobileinst.network.config import ModelConfig
from mobileinst.network.counter import tensor_shapes
from mobileinst.weights import Weights
from tests.support.random_weights import random_tensors

CONFIG = ModelConfig(
    backbone="topformer_t", width=4, classes=2, queries=3, hidden=8, heads=2, ffn=4, kernel_dim=4
)
OUTPUTS = ("class_logits", "objectness_logits", "kernels", "mask_features", "mask_logits")


def make_metadata(model: ModelConfig = CONFIG, /, **changes: Any) -> dict[str, Any]:
    """Of a weights file of that configuration."""
    classes = ["person", "animal", *(f"class {i}" for i in range(2, model.classes))]
    metadata = {
        "format": 1,
        "config": model.to_dict(),
        "classes": classes[: model.classes],
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "color": "rgb",
        "size": 64,
        "score_threshold": 0.3,
        "version": "0.1",
        "card": {"data": "none"},
    }
    return {**metadata, **changes}


def make_tensors(dtype: Any = np.float32) -> dict[str, NDArray[Any]]:
    """Tensors of CONFIG with values from 0.1 to 1."""
    rng = np.random.default_rng(0)
    return {name: rng.uniform(0.1, 1, shape).astype(dtype) for name, shape in tensor_shapes(CONFIG).items()}


def random_model(config: ModelConfig, seed: int = 0, **metadata: Any) -> Weights:
    """Weights as `random_tensors` has them."""
    return Weights(random_tensors(config, seed), make_metadata(config, **metadata))


def run_model(model: NativeModel, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """All outputs of the native engine for a normalised image (3, H, W)."""
    session = model.session(x.shape[1], x.shape[2])
    session.load_input(x)
    session.run_features()
    class_logits, objectness_logits, kernels = session.run_instances()
    masks = session.mask_features(), session.mask_logits(kernels)
    return dict(zip(OUTPUTS, (class_logits, objectness_logits, kernels, *masks), strict=True))
