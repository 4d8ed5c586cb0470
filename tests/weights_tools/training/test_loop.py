"""Training runs: resuming, deadlines, several processes, query passing, export."""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import ROOT

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("safetensors")
pytest.importorskip("scipy")

from mobileinst.network import ModelConfig  # noqa: E402
from mobileinst.weights import load_weights  # noqa: E402
from tests.support.training_sets import environment, settings, toml, write_set, write_videos  # noqa: E402
from weights_tools.torch_ops import MobileInst  # noqa: E402
from weights_tools.training.checkpoint import CHECKPOINT, LOG, Log, load_file, read_log  # noqa: E402
from weights_tools.training.config import OptimiserConfig, Phase, parse_config  # noqa: E402
from weights_tools.training.data import DataConfig, TrainingSet  # noqa: E402
from weights_tools.training.export import export  # noqa: E402
from weights_tools.training.initial import TrainedModel, grid_queries, load_folded_backbone  # noqa: E402
from weights_tools.training.loop import Run, RunOptions, build_model, train  # noqa: E402
from weights_tools.training.losses import Assignment  # noqa: E402
from weights_tools.training.measure import main as measure  # noqa: E402
from weights_tools.training.objective import carry  # noqa: E402
from weights_tools.training.processes import Group, run_processes  # noqa: E402
from weights_tools.training.schedule import Clock, crop_size, next_time_of_day, rate_factor  # noqa: E402
from weights_tools.training.source import CocoSource  # noqa: E402
from weights_tools.training.validation import evaluate, input_size  # noqa: E402

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def configuration(tmp_path, **changes):
    return parse_config(settings(*write_set(tmp_path / "set"), **changes))


def weights_of(folder):
    state = load_file(folder / CHECKPOINT, torch.device("cpu"))
    assert state is not None
    return state


def same_weights(a, b, tolerance=0.0):
    for part in ("model", "average", "objective"):
        for name, tensor in a[part].items():
            torch.testing.assert_close(b[part][name], tensor, rtol=0, atol=tolerance, msg=f"{part} {name}")


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
    config = configuration(tmp_path, temporal={"share": 0.5})
    train(config, RunOptions(tmp_path / "whole"), Group())
    train(config, RunOptions(tmp_path / "parts", stop_after=3), Group())
    assert weights_of(tmp_path / "parts")["step"] == 3
    train(config, RunOptions(tmp_path / "parts", stop_after=2), Group())
    train(config, RunOptions(tmp_path / "parts"), Group())
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert whole["step"] == parts["step"] == 8
    assert whole["images"] == parts["images"] == 16
    same_weights(whole, parts)


def test_weights_change_and_frozen_statistics_stay(tmp_path):
    config = configuration(tmp_path, frozen_norms=["backbone.tpm."])
    run = Run(config, RunOptions(tmp_path), Group())
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    data = TrainingSet(CocoSource(*write_set(tmp_path / "other"), config.classes), config.data, 0)
    for _ in range(3):
        result = run.train_step(data.batch([0, 1], 128), 0.0)
        run.step += 1
    assert np.isfinite(list(result.values())).all()
    after = run.model.state_dict()
    for name in before:
        frozen = name.startswith("backbone.tpm.") and "running" in name
        counter = name.endswith("num_batches_tracked")
        changed = not torch.equal(before[name], after[name])
        assert changed != frozen or counter, name


def test_frozen_norms_compute_what_evaluation_does():
    config = ModelConfig(backbone="topformer_t", width=16, classes=3, queries=4, hidden=32, heads=2, ffn=32)
    torch.manual_seed(0)
    frozen, plain = TrainedModel(config, ("backbone.",)), MobileInst(config)
    for name, tensor in frozen.state_dict().items():
        if "running" in name:
            tensor.uniform_(0.5, 1.5)
        elif name.endswith(("bn.weight", "bn.bias")):
            tensor.normal_()
    plain.load_state_dict(frozen.state_dict())
    image = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(
        frozen.train(False).backbone_features(image).x6,
        plain.eval().backbone_features(image).x6,
        atol=1e-4,
        rtol=1e-4,
    )


def test_folded_backbone_keeps_its_function():
    model = MobileInst(ModelConfig(width=16, classes=3, queries=4, hidden=32, heads=2, ffn=32)).eval()
    rng = np.random.default_rng(0)
    arrays = {"classifier.1.weight": np.zeros((5, 5), np.float32)}
    for name, tensor in model.state_dict().items():
        if name.startswith("backbone.features.") and tensor.ndim == 4:
            key = name.removeprefix("backbone.").removesuffix(".weight")
            arrays[f"{key}.weight"] = rng.normal(0, 0.1, tuple(tensor.shape)).astype(np.float32)
            arrays[f"{key}.bias"] = rng.normal(0, 0.1, tensor.shape[0]).astype(np.float32)
    assert load_folded_backbone(model, arrays) == ["classifier.1.weight"]
    image = torch.randn(1, 3, 64, 64)

    def conv(x, key, stride=1, groups=1, relu=True):
        weight, bias = (torch.from_numpy(arrays[f"{key}.{part}"]) for part in ("weight", "bias"))
        y = torch.nn.functional.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=groups)
        return y.clamp(0, 6) if relu else y

    x = conv(image, "features.0.0", 2)
    x = conv(conv(x, "features.1.conv.0.0", groups=32), "features.1.conv.1", relu=False)
    for index, (channels, stride) in enumerate(((24, 2), (24, 1), (32, 2), (32, 1), (32, 1)), 2):
        y = conv(x, f"features.{index}.conv.0.0")
        y = conv(y, f"features.{index}.conv.1.0", stride, y.shape[1])
        y = conv(y, f"features.{index}.conv.2", relu=False)
        x = x + y if stride == 1 and x.shape[1] == channels else y
    torch.testing.assert_close(model.backbone_features(image).x3, x, atol=1e-5, rtol=1e-4)
    del arrays["features.3.conv.2.bias"]
    with pytest.raises(ValueError, match=r"features\.3\.conv\.2\.bias"):
        load_folded_backbone(model, arrays)


def test_grid_queries_attend_to_their_places():
    model = MobileInst(ModelConfig(width=16, classes=3, queries=16, hidden=64, heads=4, ffn=32))
    grid_queries(model)
    positions = model.get_parameter("instance_decoder.query_position.weight").detach()
    similar = (
        torch.nn.functional.normalize(positions, dim=1) @ torch.nn.functional.normalize(positions, dim=1).T
    )
    neighbours = similar[5].argsort(descending=True)[:5].tolist()
    assert neighbours[0] == 5
    assert set(neighbours) == {5, 4, 6, 1, 9}


@pytest.mark.parametrize("assignment", ["carried", "literal"])
def test_query_passing_trains_on_videos(tmp_path, assignment):
    videos, frames = write_videos(tmp_path / "videos")
    temporal = {"share": 1.0, "stills": 0.5, "assignment": assignment, "images": str(frames)}
    config = configuration(tmp_path, temporal={**temporal, "annotations": str(videos)}, images=80, batch=4)
    train(config, RunOptions(tmp_path / "run", stop_after=20), Group())
    entry = read_log(tmp_path / "run" / LOG)[-1]
    assert entry["passed_dice"] > 0
    assert entry["passed_bce"] > 0


def test_carried_pairs_follow_identities():
    chosen = Assignment(
        torch.tensor([0, 0, 1, 2, 3]), torch.tensor([4, 7, 1, 2, 3]), torch.tensor([1, 0, 0, 0, 0])
    )
    ids = [torch.tensor(v) for v in ([10, 20], [30], [20, 40], [10])]
    pairs = carry(chosen, ids, 2)
    assert pairs.image.tolist() == [0]
    assert pairs.query.tolist() == [4]
    assert pairs.target.tolist() == [0]


def test_batch_without_any_object_trains(tmp_path):
    path, images = write_set(tmp_path / "set")
    data = json.loads(path.read_text())
    data["annotations"] = []
    path.write_text(json.dumps(data))
    config = parse_config(settings(path, images, images=4))
    train(config, RunOptions(tmp_path / "run"), Group())
    assert weights_of(tmp_path / "run")["step"] == 2


def test_rate_warms_up_stays_and_falls():
    config = OptimiserConfig(warmup=10, flat=0.4, final=0.01)
    warm = [rate_factor(0.0, step, config) for step in range(12)]
    assert warm == sorted(warm)
    assert warm[0] < 0.2
    assert warm[10] == 1.0
    assert rate_factor(0.4, 100, config) == 1.0
    assert rate_factor(0.7, 100, config) == pytest.approx(0.505)
    assert rate_factor(1.0, 100, config) == pytest.approx(0.01)
    steps = OptimiserConfig(warmup=0, milestones=(0.5, 0.9))
    assert [rate_factor(p, 5, steps) for p in (0.4, 0.6, 0.95)] == pytest.approx([1.0, 0.1, 0.01])


def test_crop_sizes_follow_the_phases():
    phases = (Phase(0.5, (64,)), Phase(1.0, (96, 128)))
    assert {crop_size(0.2, step, phases, 0) for step in range(9)} == {64}
    assert {crop_size(0.5, step, phases, 0) for step in range(40)} == {96, 128}
    assert crop_size(1.0, 3, phases, 0) in (96, 128)


def test_progress_is_the_further_of_images_and_time():
    now = time.time()
    clock = Clock(100, now - 50, now + 50, base=0.2)
    assert clock.progress(10) == pytest.approx(0.6, abs=0.02)
    assert clock.progress(90) == 0.9
    assert Clock(100, now - 50, now - 1).progress(0) == 1.0
    assert Clock(100).progress(25) == 0.25


def test_deadline_is_the_next_such_time():
    now = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
    assert next_time_of_day("12:30", now) - now == 1800
    assert 11.5 * 3600 <= next_time_of_day("00:00", now) - now <= 12.5 * 3600
    with pytest.raises(ValueError, match="HH:MM"):
        next_time_of_day("soon", now)


def test_what_is_frozen_may_change_when_resuming(tmp_path):
    config = configuration(tmp_path)
    train(config, RunOptions(tmp_path / "run", stop_after=2), Group())
    before = weights_of(tmp_path / "run")
    frozen = dataclasses.replace(config, frozen=("backbone.tpm.", "mask_decoder."))
    train(frozen, RunOptions(tmp_path / "run", stop_after=2), Group())
    after = weights_of(tmp_path / "run")
    for name, tensor in before["model"].items():
        if name.endswith("conv.weight") or name.endswith("c.weight"):
            same = torch.equal(tensor, after["model"][name])
            assert same == name.startswith(frozen.frozen), name
    assert set(after["optimiser"]) < set(before["optimiser"])


def test_budget_can_be_changed_when_resuming(tmp_path):
    config = configuration(tmp_path)
    train(config, RunOptions(tmp_path / "run", stop_after=2), Group())
    train(dataclasses.replace(config, images=8), RunOptions(tmp_path / "run"), Group())
    assert weights_of(tmp_path / "run")["images"] == 8


def test_log_survives_a_cut_line(tmp_path):
    log = Log(tmp_path / LOG)
    log.write({"step": 1, "loss": 1 / 3, "time": 1795260123.25})
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 2, "lo')
    assert read_log(tmp_path / LOG) == [{"step": 1, "loss": 0.333333, "time": 1795260123.25}]


def test_workers_give_the_same_run(tmp_path):
    config = configuration(tmp_path, images=8)
    train(config, RunOptions(tmp_path / "inline"), Group())
    train(dataclasses.replace(config, workers=1), RunOptions(tmp_path / "workers"), Group())
    same_weights(weights_of(tmp_path / "inline"), weights_of(tmp_path / "workers"))


def test_workers_end_with_a_run_that_fails(tmp_path, monkeypatch):
    def fail(self, batch, progress):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Run, "train_step", fail)
    before = {child.pid for child in multiprocessing.active_children()}
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        train(configuration(tmp_path, workers=1), RunOptions(tmp_path / "run"), Group())
    assert caught.traceback  # held, as an interpreter that ends holds it
    assert {child.pid for child in multiprocessing.active_children()} <= before


def test_measurements_without_a_gain_end_a_run(tmp_path):
    path, images = write_set(tmp_path / "set")
    validation = {"annotations": str(path), "images": str(images), "size": 64, "limit": 1}
    validation |= {"every_minutes": 1e9, "every_share": 1e-6, "patience": 2}
    values = settings(path, images, images=400, validation=validation, optimiser={"lr": 0.0, "warmup": 1})
    heard: list[dict[str, object]] = []
    config, run = parse_config(values), tmp_path / "run"
    assert train(config, RunOptions(run, listener=heard.append), Group())
    measured = [entry for entry in heard if "val" in entry]
    assert heard == read_log(run / LOG)
    # the first may be the best; weights that don't change give no better one
    assert 2 <= len(measured) <= 3
    assert weights_of(run)["images"] < 400
    assert train(config, RunOptions(run), Group())  # it has ended
    assert weights_of(run)["images"] == measured[-1]["images"]


def test_export_makes_a_weights_file(tmp_path):
    path, images = write_set(tmp_path / "set")
    validation = {"annotations": str(path), "images": str(images), "size": 64}
    videos, frames = write_videos(tmp_path / "videos")
    described = {**json.loads(videos.read_text()), "info": {"source": "made there"}}
    videos.write_text(json.dumps(described))
    temporal = {"share": 0.5, "annotations": str(videos), "images": str(frames)}
    config = parse_config(settings(path, images, images=8, validation=validation, temporal=temporal))
    run = tmp_path / "run"
    train(config, RunOptions(run), Group())
    measured = read_log(run / LOG)[-1]["val"]
    assert {"AP", "AP50", "AP person", "AP vehicle", "AP animal"} <= set(measured)
    metadata = export(config, run, tmp_path / "w.safetensors", last=True, score_threshold=[0.3, 0.4, 0.5])
    weights = load_weights(tmp_path / "w.safetensors")
    assert weights.config == config.model
    assert weights.classes == ("person", "vehicle", "animal")
    assert weights.score_threshold == (0.3, 0.4, 0.5)
    assert metadata["card"]["images_seen"] == 8
    assert metadata["card"]["training_sets"] == {"a": "made here", "videos": {"source": "made there"}}
    state = weights_of(run)["average"]
    for name, tensor in weights.tensors.items():
        np.testing.assert_allclose(tensor, state[name].numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
    export(config, run, tmp_path / "small.safetensors", last=True, int8=["backbone.trans."])
    small = load_weights(tmp_path / "small.safetensors")
    assert small.score_threshold == tuple(
        pytest.approx(measured[f"threshold {name}"], abs=1e-3) for name in small.classes
    )
    for name, tensor in small.tensors.items():
        step = np.abs(weights.tensors[name]).max() / 127
        np.testing.assert_allclose(tensor, weights.tensors[name], rtol=0, atol=0.55 * step, err_msg=name)
    assert (tmp_path / "small.safetensors").stat().st_size < (tmp_path / "w.safetensors").stat().st_size
    again = build_model(dataclasses.replace(config, init=str(tmp_path / "small.safetensors"))).state_dict()
    for name, tensor in small.tensors.items():
        np.testing.assert_array_equal(again[name].numpy(), tensor, err_msg=name)
    with pytest.raises(ValueError, match="neither"):
        export(config, tmp_path / "set", tmp_path / "x.safetensors")


def test_perfect_results_have_full_ap():
    from pycocotools import mask as coco_mask

    mask = np.zeros((40, 50), np.uint8)
    mask[5:30, 10:40] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    text = {"size": rle["size"], "counts": rle["counts"].decode()}
    box = coco_mask.toBbox(rle).tolist()
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": text, "area": 750, "bbox": box}
    truth = {
        "info": {},
        "images": [{"id": 1, "height": 40, "width": 50}],
        "annotations": [{**annotation, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person"}],
    }
    result = {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": rle}
    table = evaluate(truth, [result], ["person"])
    assert table["AP"] == pytest.approx(100.0)
    assert table["AP50 person"] == pytest.approx(100.0)
    assert (table["F1 person"], table["threshold person"]) == (pytest.approx(100.0), pytest.approx(0.9))
    wrong = coco_mask.encode(np.asfortranarray(1 - mask))
    results = [{**result, "score": 0.6}, {**result, "score": 0.8, "segmentation": wrong}]
    table = evaluate(truth, [*results, {**result, "score": 0.5}], ["person"])
    assert table["F1 person"] == pytest.approx(100 * 2 / 3)
    assert table["threshold person"] == pytest.approx(0.6)
    assert evaluate(truth, [], ["person"])["AP"] == 0.0
    truth["categories"].append({"id": 2, "name": "cat"})
    table = evaluate(truth, [result, {**result, "category_id": 2}], ["person", "cat"])
    assert np.isfinite(list(table.values())).all()
    assert not {"AP cat", "threshold cat", "APl"} & set(table), "there is nothing of these"


@pytest.mark.parametrize("kind", ["checkpoint", "weights"])
def test_measure_reads_checkpoints_and_weights(tmp_path, capsys, kind):
    path, images = write_set(tmp_path / "set")
    validation = {"annotations": str(path), "images": str(images), "size": 64}
    values = settings(path, images, images=4, validation=validation)
    (tmp_path / "c.toml").write_text(toml(values))
    config = parse_config(values)
    run = RunOptions(tmp_path / "run")
    train(config, run, Group())
    file = tmp_path / "run" / CHECKPOINT
    if kind == "weights":
        file = tmp_path / "w.safetensors"
        export(config, tmp_path / "run", file)
    assert measure([str(tmp_path / "c.toml"), str(file), "--size", "64", "96", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["size 64", "size 96"]
    assert "AP50 vehicle" in lines[0]
    assert measure([str(tmp_path / "c.toml"), str(tmp_path / "no.pt")]) == 2


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        ((480, 640), 320, (320, 416)),
        ((720, 1280), 320, (256, 416)),
        ((640, 480), 256, (352, 256)),
        ((20, 20), 32, (32, 32)),
    ],
)
def test_input_size_bounds_the_longer_side(frame, size, expected):
    assert input_size(*frame, size) == expected


def command(config: Path, output: Path, *extra: str) -> list[str]:
    return [sys.executable, "-m", "weights_tools.training", str(config), "--output", str(output), *extra]


@pytest.mark.parametrize(
    ("processes", "workers"), [(1, 0), (1, 1), pytest.param(2, 0, marks=pytest.mark.slow)]
)
def test_sigterm_leaves_a_checkpoint_that_resumes(tmp_path, processes, workers):
    """Also where the signal goes to all processes of the run, as Ctrl-C does, those that load data too."""
    values = settings(*write_set(tmp_path / "set"), images=100_000, checkpoint_minutes=60.0, workers=workers)
    (tmp_path / "c.toml").write_text(toml(values))
    run = tmp_path / "run"
    started = command(tmp_path / "c.toml", run, "--processes", str(processes), "--device", "cpu")
    process = subprocess.Popen(started, env=environment(), cwd=ROOT, start_new_session=True)
    try:
        deadline = time.time() + 120
        while not (run / LOG).exists() and time.time() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    state = weights_of(run)
    assert state["step"] >= 20
    resumed = parse_config({**values, "images": state["images"] + 4})
    train(resumed, RunOptions(run), Group())
    assert weights_of(run)["step"] == state["step"] + 2


@pytest.mark.slow
def test_two_processes_stay_alike_even_without_objects(tmp_path):
    """One process often has a batch without objects here; both must hold the same weights."""
    path, images = write_set(tmp_path / "set")
    data = json.loads(path.read_text())
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] <= 2]
    path.write_text(json.dumps(data))
    config = parse_config(settings(path, images, images=24))
    run_processes(functools.partial(_train_and_note, config, RunOptions(tmp_path / "run")), 2, "cpu")
    first, second = (torch.load(tmp_path / "run" / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert weights_of(tmp_path / "run")["images"] == 24
    for name in first:
        assert torch.equal(first[name], second[name]), name


def _train_and_note(config, options, group):
    train(config, options, group)
    run = Run(config, options, group)
    data = TrainingSet(
        CocoSource(Path(config.train[0].annotations), Path(config.train[0].images), config.classes),
        DataConfig(),
        0,
    )
    for step in range(3):
        run.train_step(data.batch([2 * step + group.rank, 2 * step + group.rank + 6], 64), 0.5)
    torch.save(run.model.state_dict(), options.folder / f"{group.rank}.pt")


def test_command_line_refuses_what_it_cannot_read(tmp_path):
    (tmp_path / "bad.toml").write_text("classes = [")
    for name, word in (("bad.toml", "TOML"), ("missing.toml", "missing.toml")):
        done = subprocess.run(
            command(tmp_path / name, tmp_path), env=environment(), cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert word in done.stderr
        assert "Traceback" not in done.stderr
