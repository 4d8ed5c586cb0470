"""Exported graphs give what the network gives, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from mobileinst.network import ModelConfig  # noqa: E402
from mobileinst.network.model import Features  # noqa: E402
from weights_tools import create, export_onnx  # noqa: E402
from weights_tools.loading import torch_model  # noqa: E402

SMALL = {"width": 32, "classes": 4, "queries": 9, "hidden": 64, "ffn": 64, "heads": 4, "kernel_dim": 16}


def run(path: Path, *inputs: torch.Tensor) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    feed = dict(zip(names, (x.numpy() for x in inputs), strict=True))
    return dict(zip([x.name for x in session.get_outputs()], session.run(None, feed), strict=True))


def weights_file(path: Path, config: ModelConfig) -> Path:
    create.create(path, config, seed=6)
    return path


@pytest.mark.parametrize(
    ("config", "height", "width"),
    [
        (ModelConfig("mobilenetv2", **SMALL), 128, 64),
        (ModelConfig("topformer_t", **SMALL, use_sim=True), 104, 140),
        (ModelConfig("topformer_s", **SMALL, key_stride=32), 97, 161),
        (ModelConfig("seaformer_t", **SMALL, mask_stride=4), 104, 140),
        (ModelConfig("yolox_nano", **SMALL, query_source="places", key_stride=32), 96, 160),
    ],
    ids=lambda value: value.backbone if isinstance(value, ModelConfig) else str(value),
)
def test_model_agrees_with_onnx_runtime(tmp_path: Path, config: ModelConfig, height: int, width: int) -> None:
    path = weights_file(tmp_path / "w.safetensors", config)
    graph = tmp_path / "model.onnx"
    arguments = [str(path), str(graph), "--size", str(height), str(width)]
    assert export_onnx.main(arguments) == 0
    image = 0.5 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = torch_model(path)(image)
    found = run(graph, image)
    assert list(found) == export_onnx.OUTPUTS["model"]
    for name, value in found.items():
        assert value.shape == tuple(expected[name].shape[1:]), name
        np.testing.assert_allclose(value, expected[name][0].numpy(), atol=1e-3, rtol=0, err_msg=name)


def test_masks_are_the_model_without_mask_features(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.safetensors", ModelConfig("topformer_t", **SMALL))
    found = {}
    image = 0.5 * torch.randn(1, 3, 72, 100, generator=torch.Generator().manual_seed(2))
    for part in ("model", "masks"):
        graph = tmp_path / f"{part}.onnx"
        assert export_onnx.main([str(path), str(graph), "--size", "72", "100", "--part", part]) == 0
        found[part] = run(graph, image)
    assert list(found["masks"]) == [name for name in found["model"] if name != "mask_features"]
    for name, value in found["masks"].items():
        np.testing.assert_allclose(value, found["model"][name], atol=1e-5, rtol=0, err_msg=name)


def test_the_backbone_alone(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.safetensors", ModelConfig("topformer_t", **SMALL))
    graph = tmp_path / "backbone.onnx"
    assert export_onnx.main([str(path), str(graph), "--size", "72", "100", "--part", "backbone"]) == 0
    image = 0.5 * torch.randn(1, 3, 72, 100, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = torch_model(path).backbone_features(image)
    found = run(graph, image)
    assert list(found) == export_onnx.OUTPUTS["backbone"]
    for name, value in found.items():
        wanted = getattr(expected, name).numpy()
        np.testing.assert_allclose(value, wanted, atol=1e-3, rtol=0, err_msg=name)


def test_parts_in_turn_give_the_model(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.safetensors", ModelConfig("topformer_t", **SMALL))
    for part in ("features", "instances"):
        arguments = [str(path), str(tmp_path / f"{part}.onnx"), "--size", "136", "200", "--part", part]
        assert export_onnx.main(arguments) == 0
    image = 0.5 * torch.randn(1, 3, 136, 200, generator=torch.Generator().manual_seed(2))
    features = run(tmp_path / "features.onnx", image)
    assert list(features) == export_onnx.OUTPUTS["features"]
    pooled, x6 = (torch.from_numpy(features[name]) for name in ("pooled", "x6"))
    instances = run(tmp_path / "instances.onnx", pooled, x6)
    assert list(instances) == export_onnx.OUTPUTS["instances"]
    model = torch_model(path)
    with torch.no_grad():
        expected = model(image)
        again = model.instances(Features(pooled, pooled, x6))
    for name, value in features.items():
        wanted = expected[name][0] if name == "mask_features" else expected[name]
        np.testing.assert_allclose(value, wanted.numpy(), atol=1e-3, rtol=0, err_msg=name)
    for name, value in instances.items():
        wanted = getattr(again, name)[0].reshape(value.shape)
        np.testing.assert_allclose(value, wanted.numpy(), atol=1e-4, rtol=0, err_msg=name)


def test_graph_uses_standard_operators_only(tmp_path: Path) -> None:
    import onnx

    path = weights_file(tmp_path / "w.safetensors", ModelConfig("seaformer_t", **SMALL))
    graph = tmp_path / "model.onnx"
    assert export_onnx.main([str(path), str(graph), "--size", "128"]) == 0
    model = onnx.load(str(graph))
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, 3, 128, 128]


@pytest.mark.parametrize(
    ("size", "message"), [(["16"], "at least 32x32"), (["0", "64"], "at least 32x32"), (["-5"], "32x32")]
)
def test_bad_sizes_are_refused(
    tmp_path: Path, size: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_file(tmp_path / "w.safetensors", ModelConfig("topformer_t", **SMALL))
    assert export_onnx.main([str(path), str(tmp_path / "o.onnx"), "--size", *size]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.onnx").exists()


def test_missing_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_onnx.main([str(tmp_path / "no.safetensors"), str(tmp_path / "o.onnx")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_without_the_onnx_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_file(tmp_path / "w.safetensors", ModelConfig("topformer_t", **SMALL))
    monkeypatch.setattr(export_onnx.importlib.util, "find_spec", lambda name: None)
    assert export_onnx.main([str(path), str(tmp_path / "o.onnx"), "--size", "64"]) == 1
    assert 'pip install "mobileinst[export]"' in capsys.readouterr().err
    assert not (tmp_path / "o.onnx").exists()
