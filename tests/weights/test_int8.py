"""Weights files whose convolutions are stored as int8 with scales."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.network import ModelConfig
from mobileinst.network.counter import tensor_shapes
from mobileinst.weights import WeightsError, load_weights, save_weights
from tests.support.networks import make_metadata

CONFIG = ModelConfig(
    backbone="topformer_t", width=16, classes=2, queries=4, hidden=16, heads=2, ffn=16, kernel_dim=8
)
METADATA = make_metadata(CONFIG)
NAME = "mask_decoder.before.3.conv.weight"


def tensors():
    rng = np.random.default_rng(0)
    found = {
        k: np.abs(rng.normal(size=shape)).astype(np.float32) for k, shape in tensor_shapes(CONFIG).items()
    }
    found[NAME] = rng.integers(-127, 128, found[NAME].shape).astype(np.int8)
    found[f"{NAME}.scale"] = np.linspace(0.01, 0.1, 16, dtype=np.float32)
    return found


def test_int8_is_widened_by_its_scales(tmp_path):
    given = tensors()
    save_weights(tmp_path / "w.safetensors", given, METADATA)
    loaded = load_weights(tmp_path / "w.safetensors").tensors
    assert set(loaded) == set(tensor_shapes(CONFIG))
    expected = given[NAME] * given[f"{NAME}.scale"][:, None, None, None]
    np.testing.assert_array_equal(loaded[NAME], expected.astype(np.float32))
    assert loaded[NAME].dtype == np.float32


@pytest.mark.parametrize("scale", [None, np.ones(3, np.float32), np.ones(16, np.float16)])
def test_int8_without_fitting_scales_is_refused(tmp_path, scale):
    given = tensors()
    del given[f"{NAME}.scale"]
    if scale is not None:
        given[f"{NAME}.scale"] = scale
    with pytest.raises(WeightsError, match=r"needs 'mask_decoder\.before\.3\.conv\.weight\.scale'"):
        save_weights(tmp_path / "w.safetensors", given, METADATA)
    assert not list(tmp_path.iterdir())


def test_broken_scales_are_refused(tmp_path):
    given = tensors()
    given[f"{NAME}.scale"][2] = np.nan
    with pytest.raises(WeightsError, match="NaN"):
        save_weights(tmp_path / "w.safetensors", given, METADATA)
