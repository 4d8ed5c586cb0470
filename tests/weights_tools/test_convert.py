"""Checkpoints in the forms that people have become weights files, bit for bit, or are refused clearly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.random_weights import random_tensors

torch = pytest.importorskip("torch")

from mobileinst.network import BACKBONES, ModelConfig  # noqa: E402
from mobileinst.network.ops import NORM_EPS  # noqa: E402
from mobileinst.weights import WeightsError, load_weights, save_weights, write_safetensors  # noqa: E402
from weights_tools import convert, create  # noqa: E402
from weights_tools.checkpoints import CheckpointError  # noqa: E402
from weights_tools.recognise import RecognitionError  # noqa: E402

SMALL = {"width": 32, "classes": 4, "queries": 9, "hidden": 64, "ffn": 64, "heads": 4, "kernel_dim": 16}
Tensors = dict[str, Any]


def backbone_tensors(backbone: str, *, use_sim: bool = False) -> Tensors:
    """A backbone's tensors under official names, with the counters that batch norms carry."""
    config = ModelConfig(backbone, **SMALL, use_sim=use_sim)
    tensors = {
        name.removeprefix("backbone."): torch.from_numpy(value.copy())
        for name, value in random_tensors(config).items()
        if name.startswith("backbone.")
    }
    if backbone == "mobilenetv2":  # torchvision has no more than this
        tensors = {name: value for name, value in tensors.items() if name.startswith("features.")}
    norms = [name.removesuffix("running_var") for name in tensors if name.endswith("running_var")]
    return tensors | {f"{norm}num_batches_tracked": torch.tensor(7) for norm in norms}


def renamed(tensors: Tensors, prefix: str) -> Tensors:
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def check_equal(path: Path, tensors: Tensors, config: ModelConfig) -> None:
    weights = load_weights(path, kind="backbone")
    assert weights.kind == "backbone"
    assert weights.config.backbone == config.backbone
    assert weights.config.use_sim == config.use_sim
    expected = {f"backbone.{k}": v.numpy() for k, v in tensors.items() if "num_batches" not in k}
    assert set(weights.tensors) == set(expected)
    for name, value in expected.items():
        assert np.array_equal(weights.tensors[name], value), name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_recognised_bit_for_bit(tmp_path: Path, backbone: str) -> None:
    tensors = backbone_tensors(backbone)
    torch.save(tensors, tmp_path / "a.pth")
    report = convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert report.match.config.backbone == backbone
    assert not report.match.skipped
    check_equal(tmp_path / "b.safetensors", tensors, ModelConfig(backbone))


EXTRA = {"decode_head.conv_seg.weight": torch.ones(3, 2), "auxiliary_head.bias": torch.ones(4)}

FORMS: dict[str, Callable[[Tensors], Any]] = {
    "mmseg": lambda t: {"state_dict": {**renamed(t, "backbone."), **EXTRA}, "meta": {"epoch": 3}},
    "imagenet": lambda t: {"model": {**t, "head.l.weight": torch.ones(5, 2), "head.l.bias": torch.ones(5)}},
    "ema": lambda t: {
        "state_dict_ema": t,
        "state_dict": {name: value + 1 for name, value in t.items()},
        "optimizer": {"state": {0: torch.ones(2)}, "lr": 0.1},
    },
    "ddp": lambda t: {"state_dict": renamed(t, "module.")},
    "ddp mmseg": lambda t: {"state_dict": {**renamed(t, "module.backbone."), **renamed(EXTRA, "module.")}},
    "root": lambda t: {**t, "linear.weight": torch.ones(1000, 8), "linear.bias": torch.ones(1000)},
    "half": lambda t: {k: v.half() if v.is_floating_point() else v for k, v in t.items()},
}


@pytest.mark.parametrize("use_sim", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_forms_that_people_have(tmp_path: Path, form: str, use_sim: bool) -> None:
    tensors = backbone_tensors("topformer_t", use_sim=use_sim)
    if form == "half":
        tensors = {k: v.half().float() if v.is_floating_point() else v for k, v in tensors.items()}
    torch.save(FORMS[form](tensors), tmp_path / "a.pth")
    report = convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    check_equal(tmp_path / "b.safetensors", tensors, ModelConfig("topformer_t", use_sim=use_sim))
    expected = {"mmseg": 2, "imagenet": 2, "ddp mmseg": 2, "root": 2}.get(form, 0)
    assert len(report.match.skipped) == expected
    assert "missing:    0" in str(report)


def test_seaformer_classifier_and_safetensors(tmp_path: Path) -> None:
    tensors = backbone_tensors("seaformer_s")
    arrays = {name: value.numpy() for name, value in tensors.items()}
    write_safetensors(tmp_path / "a.st", {**arrays, "linear.weight": np.ones((10, 4), np.float32)}, {})
    report = convert.convert(tmp_path / "a.st", tmp_path / "b.safetensors")
    assert report.match.skipped == ["linear.weight"]
    check_equal(tmp_path / "b.safetensors", tensors, ModelConfig("seaformer_s"))


@pytest.mark.parametrize("family", ["topformer_t", "seaformer_t"])
def test_golden_checkpoints(tmp_path: Path, shared: Path, family: str) -> None:
    source = shared / "golden" / family / "weights.safetensors"
    report = convert.convert(source, tmp_path / "b.safetensors")
    assert report.match.config == ModelConfig(family, use_sim=family == "topformer_t")
    keys = json.loads((source.parent / "keys.json").read_text())
    weights = load_weights(tmp_path / "b.safetensors", kind="backbone")
    assert {f"backbone.{k}" for k in keys if "num_batches" not in k} == set(weights.tensors)


def fold(tensors: Tensors) -> dict[str, np.ndarray]:
    """torchvision's MobileNetV2 with its norms folded in double precision."""
    folded = {}
    for name, value in tensors.items():
        if value.ndim != 4:
            continue
        head, _, index = name.removesuffix(".weight").rpartition(".")
        norm = {leaf: tensors[f"{head}.{int(index) + 1}.{leaf}"].double().numpy() for leaf in NORM}
        scale = norm["weight"] / np.sqrt(norm["running_var"] + NORM_EPS)
        folded[name] = np.float32(value.double().numpy() * scale[:, None, None, None])
        folded[f"{head}.{index}.bias"] = np.float32(norm["bias"] - norm["running_mean"] * scale)
    return folded


NORM = ("weight", "bias", "running_mean", "running_var")


def test_folded_npz_keeps_weights_and_biases_bit_for_bit(tmp_path: Path) -> None:
    folded = fold(backbone_tensors("mobilenetv2"))
    np.savez(tmp_path / "a.npz", **folded, **{"classifier.1.weight": np.ones((3, 2), np.float32)})
    report = convert.convert(
        tmp_path / "a.npz", tmp_path / "b.safetensors", metadata={"mean": [127.5] * 3, "std": [127.5] * 3}
    )
    assert report.match.folded == 52 - 1
    assert report.match.skipped == ["classifier.1.weight"]
    weights = load_weights(tmp_path / "b.safetensors", kind="backbone")
    assert weights.mean == (127.5,) * 3
    for name, value in folded.items():
        head, _, leaf = name.rpartition(".")
        if leaf == "weight":
            assert np.array_equal(weights.tensors[f"backbone.{name}"], value), name
            continue
        norm, _, index = head.rpartition(".")
        norm = f"backbone.{norm}.{int(index) + 1}"
        assert np.array_equal(weights.tensors[f"{norm}.bias"], value), name
        assert (weights.tensors[f"{norm}.weight"] == 1).all()
        assert (weights.tensors[f"{norm}.running_mean"] == 0).all()
        assert (weights.tensors[f"{norm}.running_var"] + np.float32(NORM_EPS) == 1).all()


@pytest.mark.parametrize("name", ["mobilenetv2_imagenet", "mobilenetv2_deeplab_voc"])
def test_real_folded_weights(tmp_path: Path, shared: Path, name: str) -> None:
    report = convert.convert(shared / "data" / "weights" / f"{name}.npz", tmp_path / "b.safetensors")
    assert report.match.config.backbone == "mobilenetv2"
    assert report.match.folded == 51
    assert "x3, x4, x5 only" in str(report)


def test_whole_model_by_its_metadata(tmp_path: Path) -> None:
    config = ModelConfig("topformer_t", **SMALL, key_stride=32, use_sim=True)
    tensors = random_tensors(config)
    save_weights(tmp_path / "a.safetensors", tensors, create.metadata_of(config, 320, origin="here"))
    report = convert.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", fp16=True)
    weights = load_weights(tmp_path / "b.safetensors")
    assert report.match.kind == weights.kind == "model"
    assert weights.config == config
    assert weights.size == 320
    assert weights.card["origin"] == "here"
    for name, value in tensors.items():
        expected = value.astype(np.float16).astype(np.float32) if value.ndim > 1 else value
        assert np.array_equal(weights.tensors[name], expected), name


def test_checkpoint_of_our_training(tmp_path: Path) -> None:
    config = ModelConfig("mobilenetv2", **{**SMALL, "classes": 2})
    tensors = {name: torch.from_numpy(value) for name, value in random_tensors(config).items()}
    settings = {
        "model": config.to_dict(),
        "classes": ["cat", "dog"],
        "data": {"mean": [127.5] * 3, "std": [127.5] * 3},
    }
    state = {
        "model": {k: v + 1 for k, v in tensors.items()},
        "average": tensors,
        "config": settings,
        "step": 3,
    }
    torch.save(state, tmp_path / "a.pt")
    report = convert.convert(tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert (report.checkpoint.entry, report.checkpoint.others) == ("average", ["model"])
    weights = load_weights(tmp_path / "b.safetensors")
    assert (weights.config, weights.classes, weights.std) == (config, ("cat", "dog"), (127.5,) * 3)
    assert all(np.array_equal(weights.tensors[name], value.numpy()) for name, value in tensors.items())


def test_whole_model_without_metadata_needs_what_does_not_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ModelConfig("seaformer_t", **SMALL, key_stride=32, mask_stride=4)
    tensors = {f"module.{k}": torch.from_numpy(v) for k, v in random_tensors(config).items()}
    torch.save({"state_dict": tensors}, tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors")]
    assert convert.main(arguments) == 1
    assert "heads and key_stride don't show" in capsys.readouterr().err
    assert not (tmp_path / "b.safetensors").exists()
    assert convert.main([*arguments, "--config", "heads=4,key_stride=32", "--classes", "a,b,c,d"]) == 0
    weights = load_weights(tmp_path / "b.safetensors")
    assert weights.config == config
    assert weights.classes == ("a", "b", "c", "d")


def test_missing_and_misshaped_tensors_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = backbone_tensors("topformer_s")
    del tensors["tpm.layer3.conv.2.bn.bias"]
    tensors["trans.transformer_blocks.0.mlp.fc1.c.weight"] = torch.ones(3, 3, 1, 1)
    torch.save(tensors, tmp_path / "a.pth")
    assert convert.main([str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors")]) == 1
    output = capsys.readouterr()
    assert "recognised: topformer_s" in output.out
    assert "missing:    1\n  backbone.tpm.layer3.conv.2.bn.bias" in output.out
    assert "mlp.fc1.c.weight (3, 3, 1, 1), expected (592, 296, 1, 1)" in output.out
    assert "1 tensors are missing, 1 of another shape" in output.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_bias_that_the_network_lacks_is_not_dropped_silently(tmp_path: Path) -> None:
    tensors = backbone_tensors("topformer_t")
    tensors["tpm.stem.0.c.bias"] = torch.ones(16)
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(convert.ConversionError) as caught:
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert list(caught.value.report.match.misshaped) == ["tpm.stem.0.c.bias"]


def test_wider_mobilenet_is_refused(tmp_path: Path) -> None:
    tensors = {
        name: torch.cat([value, value]) if value.ndim else value
        for name, value in backbone_tensors("mobilenetv2").items()
    }
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(convert.ConversionError, match="of another shape"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")


def test_two_networks_are_ambiguous_until_one_is_chosen(tmp_path: Path) -> None:
    teacher = {
        name: value + 1 if value.ndim else value for name, value in backbone_tensors("topformer_t").items()
    }
    student = backbone_tensors("topformer_t")
    torch.save({**renamed(student, "student."), **renamed(teacher, "teacher.")}, tmp_path / "a.pth")
    with pytest.raises(RecognitionError, match=r"ambiguous.*'student\.'.*'teacher\.'"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors", prefix="teacher")
    check_equal(tmp_path / "b.safetensors", teacher, ModelConfig("topformer_t"))


def test_two_architectures_are_ambiguous(tmp_path: Path) -> None:
    torch.save({**backbone_tensors("topformer_t"), **backbone_tensors("seaformer_t")}, tmp_path / "a.pth")
    with pytest.raises(RecognitionError, match="SeaFormer under '', TopFormer under ''"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")


class Payload:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never run",))


def test_pickled_objects_are_refused_and_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": backbone_tensors("topformer_t"), "meta": Payload()}, tmp_path / "a.pth")
    assert convert.main([str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors")]) == 1
    output = capsys.readouterr()
    assert "this must never run" not in output.out
    assert "refused" in output.err
    assert "weights_only=False" in output.err
    assert not (tmp_path / "b.safetensors").exists()


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_bytes(b""), "expected a .pth"),
        (_bytes(b"PK\x03\x04 cut off"), "not a readable PyTorch"),
        (_bytes(b"\x80\x02garbage"), "PyTorch|refused"),
        (_bytes((999).to_bytes(8, "little") + b"{}"), "header"),
        (lambda path: torch.save([torch.ones(2)], path), "expected a dictionary"),
        (lambda path: torch.save({"epoch": 3}, path), "no tensors"),
        (lambda path: torch.save({"layer4.0.weight": torch.ones(2)}, path), "none of .*TopFormer"),
        (lambda path: path.mkdir(), "can't be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "a.pth")
    with pytest.raises((CheckpointError, RecognitionError), match=message):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_truncated_checkpoint_and_missing_file(tmp_path: Path) -> None:
    torch.save(backbone_tensors("topformer_t"), tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a readable PyTorch"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="can't be read"):
        convert.convert(tmp_path / "none.pth", tmp_path / "b.safetensors")


@pytest.mark.parametrize(("value", "fp16"), [(float("nan"), False), (1e6, True)])
def test_values_that_cannot_be_stored_leave_the_old_file(tmp_path: Path, value: float, fp16: bool) -> None:
    tensors = backbone_tensors("topformer_t")
    tensors["tpm.stem.0.c.weight"][0, 0, 0, 0] = value
    torch.save(tensors, tmp_path / "a.pth")
    (tmp_path / "b.safetensors").write_text("old")
    with pytest.raises(WeightsError, match=r"tpm\.stem\.0\.c\.weight"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors", fp16=fp16)
    assert (tmp_path / "b.safetensors").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_target_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(backbone_tensors("topformer_t"), tmp_path / "a.pth")
    assert convert.main([str(tmp_path / "a.pth"), str(tmp_path / "no" / "b.safetensors")]) == 1
    assert "can't write" in capsys.readouterr().err


def test_half_precision(tmp_path: Path) -> None:
    tensors = backbone_tensors("seaformer_t")
    torch.save(tensors, tmp_path / "a.pth")
    convert.convert(tmp_path / "a.pth", tmp_path / "full.safetensors")
    convert.convert(tmp_path / "a.pth", tmp_path / "half.safetensors", fp16=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.56 * sizes[0]


def test_a_backbone_is_no_model(tmp_path: Path) -> None:
    torch.save(backbone_tensors("topformer_t"), tmp_path / "a.pth")
    convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match=r"expected a whole model, got the backbone topformer_t alone"):
        load_weights(tmp_path / "b.safetensors")
    convert.convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    check_equal(tmp_path / "c.safetensors", backbone_tensors("topformer_t"), ModelConfig("topformer_t"))


def test_info_tells_which_backbone_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mobileinst.cli import main

    torch.save(backbone_tensors("topformer_t", use_sim=True), tmp_path / "a.pth")
    convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert main(["info", str(tmp_path / "b.safetensors"), "--size", "512"]) == 0
    said = capsys.readouterr().out
    assert "backbone topformer_t alone, use_sim True" in said
    assert "1,369,920 parameters" in said
    assert "mask_decoder" not in said


def test_tensors_that_numpy_cannot_hold(tmp_path: Path) -> None:
    torch.save({**backbone_tensors("topformer_t"), "odd": torch.eye(3).to_sparse()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="tensor 'odd' can't be converted"):
        convert.convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
