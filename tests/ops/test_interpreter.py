"""The network over NumPy, one operation at a time, gives what the engine's fused plans give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobileinst import Segmenter, Weights
from mobileinst.network import ModelConfig, features, instances
from mobileinst.network.backbones import ARCHITECTURES
from mobileinst.network.selection import windowed_logits
from mobileinst.ops import NumpyOps, mask_product
from tests.support.networks import random_model
from tests.support.random_weights import random_input

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ARCHITECTURES),
    *((name, {"mask_stride": 4}) for name in ARCHITECTURES),
    *((name, {"use_sim": True}) for name, one in ARCHITECTURES.items() if one.injects),
    *(
        (name, {"query_source": "places", "kinds": (2, 1, 3), "mask_stride": stride})
        for name, one in ARCHITECTURES.items()
        for stride in (8, 4)
        if one.detects
    ),
]


def model(backbone: str, key_stride: int = 64, **settings: Any) -> Weights:
    config = ModelConfig(
        backbone,
        width=16,
        classes=3,
        queries=7,
        hidden=16,
        heads=2,
        ffn=24,
        kernel_dim=8,
        key_stride=key_stride,
        **settings,
    )
    return random_model(config)


@pytest.mark.parametrize(("backbone", "settings"), VARIANTS)
@pytest.mark.parametrize("key_stride", [64, 32])
def test_whole_network(backbone: str, settings: dict[str, Any], key_stride: int) -> None:
    weights = model(backbone, key_stride, **settings)
    image = random_input(75, 97)
    ops = NumpyOps(weights.tensors)
    found = features(ops, image, weights.config)
    predicted = instances(ops, found, weights.config)
    if weights.config.query_source == "places":
        masks = windowed_logits(predicted.kernels, found.mask_features)
    else:
        masks = mask_product(predicted.kernels, found.mask_features)
    native = Segmenter(weights, threads=1).forward(image)
    expected = {
        "class_logits": predicted.class_logits,
        "objectness_logits": predicted.objectness_logits[:, 0],
        "kernels": predicted.kernels,
        "mask_features": found.mask_features,
        "mask_logits": masks,
    }
    assert native.keys() == expected.keys()
    for name, values in expected.items():
        assert np.abs(values).max() > 0.01
        np.testing.assert_allclose(native[name], values, atol=2e-4, rtol=2e-3, err_msg=name)


def test_missing_parameters_are_named() -> None:
    weights = model("mobilenetv2")
    tensors = {name: t for name, t in weights.tensors.items() if name != "mask_decoder.before.4.bn.weight"}
    with pytest.raises(KeyError, match=r"mask_decoder\.before\.4\.bn\.weight"):
        features(NumpyOps(tensors), random_input(64, 64), weights.config)
