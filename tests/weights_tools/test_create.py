"""Random weights for benchmarks: whole, repeatable, with activations that stay in range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mobileinst.network import BACKBONES, ModelConfig  # noqa: E402
from mobileinst.network.counter import tensor_shapes  # noqa: E402
from mobileinst.weights import load_weights  # noqa: E402
from weights_tools import create  # noqa: E402

SMALL = {"width": 32, "classes": 4, "queries": 9, "hidden": 64, "ffn": 64, "heads": 4, "kernel_dim": 16}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_outputs_of_every_backbone_stay_in_range(backbone: str) -> None:
    model = create.random_model(ModelConfig(backbone, **SMALL), seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        image = 0.7 * torch.randn(1, 3, 200, 300, generator=generator)
        levels = model.backbone_features(image)
        out = model(image)
    out["queries_global"] = out["queries_global"].content
    tensors = {name: x for name, x in {**vars(levels), **out}.items() if name != "places"}
    for name, x in tensors.items():
        assert torch.isfinite(x).all(), name
        assert 0.1 < x.std() < 20, (name, float(x.std()))
        assert x.abs().max() < 300, (name, float(x.abs().max()))


def test_equal_seeds_give_equal_tensors_and_leave_the_global_generator_alone() -> None:
    config = ModelConfig("topformer_t", **SMALL)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = create.random_tensors(config, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again, other = create.random_tensors(config, seed=1), create.random_tensors(config, seed=2)
    assert {name: x.shape for name, x in first.items()} == tensor_shapes(config)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["backbone.tpm.stem.0.c.weight"], other["backbone.tpm.stem.0.c.weight"])


def test_batch_norms_are_neither_unit_nor_centred() -> None:
    tensors = create.random_tensors(ModelConfig("seaformer_t", **SMALL))
    norms = [name.removesuffix(".running_var") for name in tensors if name.endswith(".running_var")]
    assert norms
    for norm in norms:
        assert np.ptp(tensors[f"{norm}.weight"]) > 0.1, norm
        assert np.abs(tensors[f"{norm}.running_mean"]).max() > 1e-4, norm
        assert np.abs(tensors[f"{norm}.running_var"] - 1).max() > 1e-3, norm


def test_command_writes_what_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.safetensors"
    options = (
        "--width 48 --classes 7 --queries 11 --key-stride 32 --mask-stride 4 --use-sim --size 320 --seed 4"
    )
    assert create.main(["topformer_t", str(path), *options.split()]) == 0
    assert "topformer_t" in capsys.readouterr().out
    weights = load_weights(path)
    assert weights.config == ModelConfig(
        "topformer_t", width=48, classes=7, queries=11, key_stride=32, mask_stride=4, use_sim=True
    )
    assert weights.size == 320
    assert len(weights.classes) == 7
    expected = create.random_tensors(weights.config, seed=4)
    assert all(np.array_equal(weights.tensors[name], value) for name, value in expected.items())


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    config = ModelConfig("topformer_t", **SMALL)
    create.create(tmp_path / "full.safetensors", config)
    create.create(tmp_path / "half.safetensors", config, fp16=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    full, half = (load_weights(tmp_path / f"{name}.safetensors") for name in ("full", "half"))
    for name, value in full.tensors.items():
        assert np.array_equal(half.tensors[name], value.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--width", "0"], "width must be"),
        (["--seed", "-1"], "seed must be"),
        (["--use-sim"], "use_sim needs"),
        (["--size", "8"], "'size' must be"),
    ],
)
def test_bad_options_leave_nothing(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create.main(["seaformer_t", str(tmp_path / "a.safetensors"), *options]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
