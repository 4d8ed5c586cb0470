"""The network as it is written: its size, its official outputs, and every configuration of it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mobileinst.network import BACKBONES, ModelConfig
from mobileinst.network.counter import count_backbone, count_layers, parameter_specs, tensor_shapes
from tests.support.networks import random_model, run_model
from tests.support.random_weights import random_input

#: Parameters and GMAC at 512x512 and 640x640 of the backbones, counted on the official codes.
OFFICIAL = {
    ("topformer_t", False): (1_293_888, 0.424, 0.665),
    ("topformer_t", True): (1_369_920, 0.455, 0.714),
    ("topformer_s", False): (2_808_336, 0.774, 1.213),
    ("topformer_s", True): (2_968_464, 0.843, 1.322),
    ("topformer_b", False): (4_683_104, 1.204, 1.887),
    ("topformer_b", True): (4_958_048, 1.327, 2.078),
    ("seaformer_t", False): (1_620_096, 0.467, 0.728),
    ("seaformer_s", False): (3_912_656, 0.877, 1.368),
    ("seaformer_b", False): (8_485_664, 1.532, 2.389),
    ("seaformer_l", False): (13_725_504, 5.905, 9.218),
}


@pytest.mark.parametrize(("backbone", "use_sim"), OFFICIAL)
def test_backbones_count_as_the_official_ones(backbone: str, use_sim: bool) -> None:
    config = ModelConfig(backbone, use_sim=use_sim)
    parameters, at512, at640 = OFFICIAL[backbone, use_sim]
    layers = count_backbone(config, 512, 512)
    assert sum(layer.parameters for layer in layers) == parameters
    assert sum(layer.macs for layer in layers) / 1e9 == pytest.approx(at512, rel=0.01)
    macs = sum(layer.macs for layer in count_backbone(config, 640, 640))
    assert macs / 1e9 == pytest.approx(at640, rel=0.01)


@pytest.mark.parametrize(
    ("width", "side", "gmac", "millions"),
    [(256, 640, 12.4, 10.0), (256, 512, 8.0, 10.0), (128, 640, 4.8, 7.2)],
)
def test_whole_model_counts_as_by_hand(width: int, side: int, gmac: float, millions: float) -> None:
    """The spec's count of the recommended model, to the rounding it is given in."""
    layers = count_layers(ModelConfig("topformer_b", width=width), side, side)
    assert sum(layer.macs for layer in layers) / 1e9 == pytest.approx(gmac, rel=0.05)
    assert sum(layer.parameters for layer in layers) / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_configuration_at_every_size(backbone: str) -> None:
    for width, classes, queries in product((128, 256), (1, 40, 80), (7, 100)):
        config = ModelConfig(backbone, width=width, classes=classes, queries=queries)
        shapes = tensor_shapes(config)
        assert shapes["instance_decoder.class.weight"] == (classes, 256)
        assert shapes["instance_decoder.query.weight"] == (queries, 256)
        assert shapes["mask_decoder.before.3.conv.weight"] == (width, width, 3, 3)
        assert config == ModelConfig.from_dict(config.to_dict())
    config = ModelConfig(backbone, width=128)
    for height, size in ((320, 1024), (1024, 320), (321, 577), (1024, 1024), (32, 32)):
        layers = {layer.name: layer.shape for layer in count_layers(config, height, size)}
        assert layers["mask_decoder.projection"] == f"128 x {-(-height // 8)} x {-(-size // 8)}"
        assert layers["masks"] == f"100 x {-(-height // 8)} x {-(-size // 8)}"


def test_counted_parameters_are_those_of_the_tensors() -> None:
    for backbone in BACKBONES:
        config = ModelConfig(backbone, width=128)
        counted = sum(layer.parameters for layer in count_layers(config, 64, 64))
        learned = [
            shape
            for name, shape in tensor_shapes(config).items()
            if "running_" not in name.rpartition(".")[2]
        ]
        assert counted == sum(int(np.prod(shape)) for shape in learned)
        assert len(parameter_specs(config)) <= len(learned)


GOLDEN = {
    "topformer_t": {"x3": "sim1_stride8", "x4": "sim2_stride16", "x5": "sim3_stride32", "x6": "trans"},
    "seaformer_t": {"x3": "smb2", "x4": "smb3", "x5": "trans1", "x6": "trans2"},
}


@pytest.mark.parametrize("backbone", GOLDEN)
def test_pytorch_gives_the_official_outputs(shared: Path, backbone: str) -> None:
    torch = pytest.importorskip("torch")
    from mobileinst.weights import read_safetensors
    from weights_tools.torch_ops import MobileInst

    tensors, _ = read_safetensors(shared / "golden" / backbone / "weights.safetensors")
    model = MobileInst(ModelConfig(backbone, use_sim=backbone.startswith("topformer"))).eval()
    state = model.state_dict()
    official = {f"backbone.{name}": torch.tensor(np.asarray(value)) for name, value in tensors.items()}
    assert set(official) == {name for name in state if name.startswith("backbone.")}
    model.load_state_dict({**state, **official})
    with np.load(shared / "golden" / backbone / "io.npz") as outputs:
        for size in sorted({name.split("/")[0] for name in outputs.files}):
            with torch.no_grad():
                levels = model.backbone_features(torch.from_numpy(outputs[f"{size}/input"]))
            for name, official_name in GOLDEN[backbone].items():
                found, expected = getattr(levels, name).numpy(), outputs[f"{size}/{official_name}"]
                np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0, err_msg=f"{size} {name}")


@pytest.mark.parametrize("backbone", ["topformer_t", "seaformer_t"])
@pytest.mark.parametrize("key_stride", [32, 64])
def test_whole_model_native_against_pytorch(backbone: str, key_stride: int) -> None:
    torch = pytest.importorskip("torch")
    from mobileinst.engine import NativeModel
    from weights_tools.loading import torch_model

    config = ModelConfig(
        backbone,
        width=32,
        classes=3,
        queries=9,
        hidden=64,
        ffn=64,
        heads=4,
        kernel_dim=16,
        key_stride=key_stride,
    )
    weights, x = random_model(config), random_input(104, 171)
    found = run_model(NativeModel(weights, threads=2), x)
    with torch.no_grad():
        expected = torch_model(weights)(torch.from_numpy(x)[None])
    for name, value in found.items():
        wanted = expected[name][0].numpy()
        largest = max(float(np.abs(wanted).max()), 1.0)
        np.testing.assert_allclose(value / largest, wanted / largest, atol=1e-4, err_msg=name)
        if name != "mask_logits":
            np.testing.assert_allclose(value, wanted, atol=1e-3, rtol=0, err_msg=name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "resnet50"}, "backbone must be one of"),
        ({"classes": 0}, "classes must be an integer"),
        ({"queries": 2.5}, "queries must be an integer"),
        ({"heads": 7}, "multiple of heads"),
        ({"key_stride": 16}, "key_stride must be 32 or 64"),
        ({"mask_stride": 2}, "mask_stride must be 4 or 8; got 2"),
        ({"backbone": "seaformer_t", "use_sim": True}, "use_sim needs a TopFormer"),
        ({"backbone": "yolox_nano", "kinds": 1}, "kinds must be a list of integers; got 1"),
        ({"depth": 3}, "unknown configuration keys"),
    ],
)
def test_configurations_that_do_not_exist(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(fields)
