"""Stages of a training: what each one's configuration is, where it starts, and how all are resumed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst.weights import load_weights

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from tests.support.training_sets import environment, settings, toml, write_set  # noqa: E402
from weights_tools.training.__main__ import main  # noqa: E402
from weights_tools.training.checkpoint import CHECKPOINT, load_file  # noqa: E402
from weights_tools.training.config import parse_config, parse_stages  # noqa: E402
from weights_tools.training.export import main as export_main  # noqa: E402
from weights_tools.training.loop import RunOptions, train  # noqa: E402
from weights_tools.training.processes import Group  # noqa: E402
from weights_tools.training.stages import train_stages  # noqa: E402

# pycocotools' masks under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CPU = torch.device("cpu")
STILL = {"lr": 0.0, "warmup": 0}


def staged(folder: Path, *stages: dict[str, Any]) -> dict[str, Any]:
    return {**settings(*write_set(folder), images=4), "stages": list(stages)}


def states(folder: Path, count: int) -> list[dict[str, Any]]:
    found = [load_file(folder / str(i + 1) / CHECKPOINT, CPU) for i in range(count)]
    assert all(state is not None for state in found)
    return found  # type: ignore[return-value]


def test_a_stage_replaces_keys_and_keeps_the_rest(tmp_path: Path) -> None:
    values = staged(tmp_path, {}, {"images": 9, "optimiser": {"lr": 0.5}, "temporal": {"share": 0.25}})
    first, second = parse_stages(values)
    assert (first.images, second.images) == (4, 9)
    assert second.optimiser.lr == 0.5
    assert second.optimiser.warmup == first.optimiser.warmup
    assert (first.temporal.share, second.temporal.share) == (0, 0.25)
    assert second.model == first.model
    del values["stages"]
    assert parse_stages(values) == (parse_config(values),) == (first,)


@pytest.mark.parametrize("stages", [[], {}, [3], "two"])
def test_stages_are_tables(tmp_path: Path, stages: Any) -> None:
    with pytest.raises(ValueError, match="at least one"):
        parse_stages({**staged(tmp_path), "stages": stages})
    with pytest.raises(ValueError, match=r"unknown keys \['image'\]"):
        parse_stages({**staged(tmp_path / "b"), "stages": [{"image": 4}]})


def test_each_stage_starts_from_the_averaged_weights_of_the_one_before(tmp_path: Path) -> None:
    # the second one's rate is 0: it ends where it began
    stages = parse_stages(staged(tmp_path / "set", {}, {"seed": 5, "optimiser": STILL}))
    run = tmp_path / "run"
    train_stages(stages, RunOptions(run), None, Group())
    first, second = states(run, 2)
    name = "instance_decoder.kernel.weight"
    assert not torch.equal(first["model"][name], first["average"][name])
    assert torch.equal(second["model"][name], first["average"][name])
    for name, value in first["objective"].items():
        assert torch.equal(second["objective"][name], value)
    assert second["images"] == 4


def test_stages_are_resumed_where_they_stopped(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"images": 8}
    stages = parse_stages(staged(tmp_path / "set", {}, changes))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_stages(stages, RunOptions(whole), None, Group())
    train_stages(stages, RunOptions(parts, stop_after=1), None, Group())
    assert not (parts / "2").exists()
    for _ in range(8):
        train_stages(stages, RunOptions(parts, stop_after=1), None, Group())
    (_, expected), (_, found) = states(whole, 2), states(parts, 2)
    assert found["images"] == expected["images"] == 8
    for name, value in expected["average"].items():
        assert torch.equal(found["average"][name], value), name


def test_one_stage_needs_the_one_before(tmp_path: Path) -> None:
    stages = parse_stages(staged(tmp_path / "set", {}, {}))
    with pytest.raises(ValueError, match=r"1/checkpoint\.pt does not exist"):
        train_stages(stages, RunOptions(tmp_path / "run"), 2, Group())
    train_stages(stages, RunOptions(tmp_path / "run"), 1, Group())
    assert not (tmp_path / "run/2").exists()
    train_stages(stages, RunOptions(tmp_path / "run"), 2, Group())
    assert states(tmp_path / "run", 2)[1]["images"] == 4


def test_export_takes_a_stage_and_mixes_in_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = staged(tmp_path / "set", {}, {"optimiser": {"lr": 1e-2}})
    run, path, output = tmp_path / "run", tmp_path / "c.toml", tmp_path / "w.safetensors"
    path.write_text(toml(values))
    train_stages(parse_stages(values), RunOptions(run), None, Group())
    name = "mask_decoder.lateral.3.conv.weight"

    def exported(*options: str) -> NDArray[np.float32]:
        assert export_main([str(path), str(run), str(output), "--last", "--fp32", *options]) == 0
        return load_weights(output).tensors[name]

    first, second = (state["average"][name].numpy() for state in states(run, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(exported(), second)
    assert np.array_equal(exported("--stage", "1"), first)
    np.testing.assert_allclose(
        exported("--earlier", "0.25"), 0.25 * first + 0.75 * second, rtol=1e-5, atol=1e-7
    )
    for options in (["--stage", "3"], ["--earlier", "1.5"], ["--stage", "1", "--earlier", "0.5"]):
        assert export_main([str(path), str(run), str(output), *options]) == 2
    errors = capsys.readouterr().err
    assert "--stage: expected 1 to 2, got 3" in errors
    assert "--earlier: expected a share in 0..1 of a stage before, got 1.5 at stage 2" in errors
    assert "got 0.5 at stage 1" in errors


def test_without_stages_the_folder_is_the_run(tmp_path: Path) -> None:
    values = settings(*write_set(tmp_path / "set"), images=4)
    train_stages(parse_stages(values), RunOptions(tmp_path / "a"), None, Group())
    assert train(parse_config(values), RunOptions(tmp_path / "b"), Group())
    one, other = (load_file(tmp_path / name / CHECKPOINT, CPU) for name in "ab")
    assert one is not None
    assert other is not None
    for name, value in one["average"].items():
        assert torch.equal(other["average"][name], value), name


def test_the_command_line_names_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(toml(staged(tmp_path / "set", {}, {})))
    line = [str(path), "--output", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*line, "--stage", "3"]) == 2
    assert "--stage: expected 1 to 2, got 3" in capsys.readouterr().err
    assert main([*line, "--stage", "2"]) == 2
    assert "the stage before is not trained" in capsys.readouterr().err
    assert main([*line, "--images", "2"]) == 2
    assert "need --stage: the configuration has 2 stages" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_pass_through_all_stages(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(toml(staged(tmp_path / "set", {}, {"seed": 7})))
    line = [sys.executable, "-m", "weights_tools.training", str(path), "--output", str(tmp_path / "run")]
    line += ["--processes", "2", "--device", "cpu"]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [state["images"] for state in states(tmp_path / "run", 2)] == [4, 4]
