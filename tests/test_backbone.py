"""The backbone alone: equal to PyTorch and to the official codes at awkward sizes, on the native engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobileinst import Backbone, Segmenter, WeightsError, load_weights
from mobileinst.network import BACKBONES, ModelConfig
from mobileinst.weights import Weights, required_shapes, save_weights
from tests.support.networks import make_metadata, random_model
from tests.support.random_weights import random_input

#: Whole models carry their decoder along; it is kept small here.
SMALL = {"width": 16, "classes": 1, "queries": 2, "hidden": 16, "ffn": 16, "heads": 2, "kernel_dim": 8}

GOLDEN = {
    "topformer_t": {
        "x3": "tpm1_stride8",
        "x4": "tpm2_stride16",
        "x5": "tpm3_stride32",
        "x6": "trans",
        "sim3": "sim1_stride8",
        "sim4": "sim2_stride16",
        "sim5": "sim3_stride32",
    },
    "seaformer_t": {"x3": "smb2", "x4": "smb3", "x5": "trans1", "x6": "trans2"},
}


def random_weights(backbone: str, *, use_sim: bool = False, kind: str = "model") -> Weights:
    config = ModelConfig(backbone, **SMALL, use_sim=use_sim)
    return random_model(config, kind=kind, **({} if kind == "model" else {"classes": []}))


WITH_SIM = [name for name in BACKBONES if name.startswith("topformer")]


@pytest.mark.parametrize(
    ("backbone", "use_sim"), [(name, False) for name in BACKBONES] + [(name, True) for name in WITH_SIM]
)
def test_every_backbone_agrees_with_pytorch(backbone: str, use_sim: bool) -> None:
    torch = pytest.importorskip("torch")
    from weights_tools.loading import torch_model

    weights = random_weights(backbone, use_sim=use_sim)
    native, reference = Backbone(weights, threads=1), torch_model(weights)
    for height, width in ((161, 97), (64, 131)):
        x = random_input(height, width)
        found = native.features(x)
        with torch.no_grad():
            expected = reference.backbone_features(torch.from_numpy(x)[None])
        names = ["x3", "x4", "x5", "x6"] + (["sim3", "sim4", "sim5"] if use_sim else [])
        assert list(found) == names
        for name, value in found.items():
            if use_sim and name in ("x3", "x4", "x5"):
                continue  # before the injection; compared with the official code below
            wanted = getattr(expected, name.replace("sim", "x"))[0].numpy()
            assert value.dtype == np.float32
            assert value.flags.c_contiguous
            np.testing.assert_allclose(value, wanted, atol=1e-3, rtol=0, err_msg=name)


@pytest.mark.parametrize("family", GOLDEN)
def test_golden_outputs_of_official_code(tmp_path: Path, shared: Path, family: str) -> None:
    pytest.importorskip("torch")
    from weights_tools.convert import convert

    convert(shared / "golden" / family / "weights.safetensors", tmp_path / "w.safetensors")
    native = Backbone(tmp_path / "w.safetensors")
    with np.load(shared / "golden" / family / "io.npz") as outputs:
        sizes = sorted({name.split("/")[0] for name in outputs.files})
        assert len(sizes) >= 2
        for size in sizes:
            found = native.features(outputs[f"{size}/input"][0])
            assert set(found) == set(GOLDEN[family])
            for name, official in GOLDEN[family].items():
                expected = outputs[f"{size}/{official}"][0]
                np.testing.assert_allclose(found[name], expected, atol=1e-3, rtol=0, err_msg=f"{size} {name}")


def test_maps_before_injection_do_not_depend_on_it() -> None:
    x = random_input(96, 64)
    plain = Backbone(random_weights("topformer_s")).features(x)
    injected = Backbone(random_weights("topformer_s", use_sim=True)).features(x)
    for name in plain:
        np.testing.assert_allclose(injected[name], plain[name], atol=1e-5)
    assert {name: value.shape for name, value in injected.items()} == {
        "x3": (48, 12, 8),
        "x4": (96, 6, 4),
        "x5": (128, 3, 2),
        "x6": (296, 2, 1),
        "sim3": (192, 12, 8),
        "sim4": (192, 6, 4),
        "sim5": (192, 3, 2),
    }


def test_file_of_a_backbone_alone(tmp_path: Path) -> None:
    config = ModelConfig("topformer_t")
    whole = random_weights("topformer_t")
    tensors = {name: value for name, value in whole.tensors.items() if name.startswith("backbone.")}
    assert set(tensors) == set(required_shapes(config, "backbone"))
    save_weights(tmp_path / "b.safetensors", tensors, make_metadata(config, kind="backbone", classes=[]))
    x = random_input(64, 64)
    found, expected = Backbone(tmp_path / "b.safetensors").features(x), Backbone(whole).features(x)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    with pytest.raises(WeightsError, match="expected a whole model"):
        Segmenter(tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="expected a whole model"):
        load_weights(tmp_path / "b.safetensors")


def test_mobilenet_without_the_transformer_of_this_project() -> None:
    whole = random_weights("mobilenetv2")
    tensors = {k: v for k, v in whole.tensors.items() if k.startswith("backbone.features.")}
    alone = Backbone(Weights(tensors, make_metadata(ModelConfig("mobilenetv2"), kind="backbone", classes=[])))
    x = random_input(70, 90)
    found, expected = alone.features(x), Backbone(whole).features(x)
    assert list(found) == ["x3", "x4", "x5"]
    assert all(np.array_equal(found[name], expected[name]) for name in found)


def test_results_are_new_arrays_and_equal_for_any_number_of_threads() -> None:
    weights = random_weights("seaformer_t")
    x, y = random_input(75, 100), random_input(75, 100, seed=1)
    one, three = Backbone(weights, threads=1), Backbone(weights, threads=3)
    first = one.features(x)
    kept = {name: value.copy() for name, value in first.items()}
    one.features(y)
    for name, value in three.features(x).items():
        assert np.array_equal(first[name], kept[name])
        assert np.array_equal(value, kept[name])


def test_smallest_and_many_sizes() -> None:
    native = Backbone(random_weights("topformer_t"), threads=1)
    for side in (1, 2, 7, 33, 64, 65):
        found = native.features(random_input(side, 1))
        assert found["x6"].shape == (208, -(-side // 64), 1)
        assert all(np.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 8, 8)), "float32"),
        (np.zeros((1, 3, 8, 8), np.float32), r"x\[0\]"),
        (np.zeros((8, 8, 3), np.float32), "transpose"),
        (np.zeros((3, 0, 8), np.float32), "height"),
        (np.full((3, 8, 8), np.nan, np.float32), "x: expected finite values, got nan"),
    ],
)
def test_bad_input(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Backbone(random_weights("topformer_t"), threads=1).features(x)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="list"):
        Backbone(random_weights("topformer_t"), threads=1).features([[1.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads"):
        Backbone(random_weights("topformer_t"), threads=0)
    with pytest.raises(WeightsError, match="does not exist"):
        Backbone("missing.safetensors")
