"""The shipped training configurations, dry: their own paths, keys and stages on tiny sets, two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import ROOT

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")
tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11's tomllib")

from mobileinst.weights import load_weights  # noqa: E402
from tests.support.training_sets import environment, toml, write_set, write_videos  # noqa: E402
from weights_tools.training.archive import main as archive_main  # noqa: E402
from weights_tools.training.checkpoint import CHECKPOINT, LOG, load_file, read_log  # noqa: E402
from weights_tools.training.config import parse_config  # noqa: E402
from weights_tools.training.export import export  # noqa: E402
from weights_tools.training.export import main as export_main  # noqa: E402

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIGS = ROOT / "weights_tools/training/configs"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def shrunk(name: str) -> dict[str, Any]:
    """A shipped configuration with less of everything, its paths, classes and stages as they are."""
    values = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
    for table in (values, *values.get("stages", [])):
        if "phases" in table:
            table["phases"] = [{"until": phase["until"], "sizes": [64]} for phase in table["phases"]]
        table |= {"images": 8, "batch": 2}
    values["workers"] = min(values.get("workers", 0), 1)
    values["model"] |= {"queries": 8, "hidden": 32, "heads": 2, "ffn": 32, "kernel_dim": 16, "width": 16}
    return values


def run(values: dict[str, Any], folder: Path, launcher: list[str], *extra: str, **env: str) -> None:
    folder.mkdir()
    (folder / "config.toml").write_text(toml(values))
    line = [sys.executable, *launcher, "-m", "weights_tools.training", str(folder / "config.toml")]
    line += ["--output", str(folder / "run"), "--device", "cpu", *extra]
    env = environment() | env
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def renamed(path: Path, classes: list[str], target: Path) -> None:
    """The annotations under other class names: the first of ``classes``, and the others without objects."""
    data = json.loads(path.read_text())
    ids = [category["id"] for category in data["categories"]][: len(classes)]
    ids += range(2000, 2000 + len(classes) - len(ids))
    data["categories"] = [{"id": i, "name": name} for i, name in zip(ids, classes, strict=True)]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(data))


@pytest.mark.slow
def test_the_papers_stages_follow_one_another(tmp_path, monkeypatch):
    """COCO under torchrun, export, then YouTube-VIS from it with query passing."""
    coco, youtube = shrunk("coco"), shrunk("youtube_vis")
    path, images = write_set(tmp_path / "set")
    renamed(path, coco["classes"], tmp_path / "coco/annotations/instances_train2017.json")
    images.rename(tmp_path / "coco/train2017")
    for kind in ("annotations/instances_{}2017.json", "{}2017"):
        (tmp_path / "coco" / kind.format("val")).symlink_to(tmp_path / "coco" / kind.format("train"))
    coco["backbone"] = ""
    youtube["images"] = 80  # 20 steps give an entry in the log
    run(coco, tmp_path / "first", TORCHRUN, COCO=str(tmp_path / "coco"))
    model = tmp_path / "coco.safetensors"
    monkeypatch.setenv("COCO", str(tmp_path / "coco"))
    export(parse_config(coco), tmp_path / "first/run", model, last=True)
    assert load_weights(model).classes == tuple(coco["classes"])

    ytvis = tmp_path / "ytvis"
    videos, frames = write_videos(tmp_path / "videos")
    renamed(videos, youtube["classes"], ytvis / "train.json")
    path, images = write_set(tmp_path / "stills")
    renamed(path, youtube["classes"], ytvis / "train_frames.json")
    (ytvis / "train").mkdir()
    frames.rename(ytvis / "train/JPEGImages")
    for image in images.iterdir():
        image.rename(ytvis / "train/JPEGImages" / image.name)
    run(youtube, tmp_path / "second", TORCHRUN, YTVIS=str(ytvis), COCO_MODEL=str(model))
    state = load_file(tmp_path / "second/run" / CHECKPOINT, torch.device("cpu"))
    assert state is not None
    assert state["images"] == 80
    assert read_log(tmp_path / "second/run" / LOG)[-1]["passed_dice"] > 0
    start, end = load_weights(model).tensors, state["model"]
    name = "backbone.trans.transformer_blocks.0.mlp.fc1.c.weight"
    assert end["instance_decoder.class.weight"].shape[0] == len(youtube["classes"])
    moved = np.abs(end[name].numpy() - start[name]).max()
    assert 0 < moved < 0.1 * np.abs(start[name]).max()


@pytest.mark.slow
def test_the_gpus_command_trains_from_an_archive(tmp_path):
    """As on a GPU, in small: photographs packed, then two processes that augment them on their device."""
    paths = write_set(tmp_path / "set")
    values = shrunk("gpu")
    whole = {**values, "train": [{"annotations": str(paths[0]), "images": str(paths[1])}], "init": ""}
    (tmp_path / "whole.toml").write_text(toml(whole))
    assert archive_main([str(tmp_path / "whole.toml"), str(tmp_path / "photos"), "--mib", "1"]) == 0
    del values["init"]
    extra = ["--processes", "2", "--minutes", "5"]
    run(values, tmp_path / "gpu", [], *extra, MOBILEINST_ARCHIVE=str(tmp_path / "photos-1.npz"))
    state = load_file(tmp_path / "gpu/run" / CHECKPOINT, torch.device("cpu"))
    assert state is not None
    assert state["images"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["default", "mobilenetv2"])
def test_the_default_weights_come_from_one_command(name, tmp_path, monkeypatch):
    """All stages of a configuration in two processes, then the export with the options that the docs name."""
    values = shrunk(name)
    del values["backbone"]  # tests have no pretrained weights
    shared, runs = tmp_path / "shared", tmp_path / "runs"
    data = shared / "data"
    for folder in (data / "train", data / "coco_val", runs / "more"):
        write_set(folder)
    videos, frames = write_videos(tmp_path / "videos")
    (data / "davis_train").mkdir()
    videos.rename(data / "davis_train/instances.json")
    frames.rename(data / "davis_train/frames")
    places = {"MOBILEINST_SHARED": str(shared), "MOBILEINST_RUNS": str(runs)}
    run(values, tmp_path / "default", [], "--processes", "2", **places)
    folders = sorted(folder.name for folder in (tmp_path / "default/run").iterdir())
    if "stages" in values:
        assert folders == [str(i + 1) for i in range(len(values["stages"]))]
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "default.safetensors"
    line = [str(tmp_path / "default/config.toml"), str(tmp_path / "default/run"), str(output)]
    assert (
        export_main([*line, "--last", "--small", "--size", "320", "--score-powers", "0.5", "0.25", "3"]) == 0
    )
    weights = load_weights(output)
    assert weights.size == 320
    assert weights.score_powers == (0.5, 0.25, 3.0)
    assert weights.card["images_seen"] == 8
