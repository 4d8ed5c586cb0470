"""`mobileinst train` from end to end on a set of seconds, with a small network to start from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")
pytest.importorskip("yaml")

from mobileinst import Segmenter  # noqa: E402
from mobileinst.cli import main  # noqa: E402
from mobileinst.engine.parameters import ROUNDING  # noqa: E402
from mobileinst.network import ModelConfig  # noqa: E402
from mobileinst.weights import load_weights, save_weights  # noqa: E402
from tests.support.annotated_sets import (  # noqa: E402
    CLASSES,
    picture,
    write_coco,
    write_labelme,
    write_yolo,
)
from tests.support.training_sets import environment  # noqa: E402
from weights_tools.create import metadata_of  # noqa: E402
from weights_tools.torch_ops import MobileInst  # noqa: E402
from weights_tools.training.checkpoint import CHECKPOINT, LOG, read_log  # noqa: E402

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Weights of a small network whose queries begin as places."""
    torch.manual_seed(0)
    config = ModelConfig(
        backbone="yolox_nano", width=16, classes=2, queries=12, hidden=32, heads=2, ffn=32, kernel_dim=16,
        key_stride=32, query_source="places", kinds=(1, 2),
    )  # fmt: skip
    model = MobileInst(config)
    arrays = {k: v.numpy() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("small") / "small.safetensors"
    sets = {"earlier": {"licence": "CC BY 4.0"}}
    metadata = {**metadata_of(config, 64, training_sets=sets), "classes": ["person", "vehicle"]}
    save_weights(path, arrays, {**metadata, "mean": [0.0] * 3, "std": [255.0] * 3})
    return path


@pytest.fixture
def quick(monkeypatch, small):
    """Arguments of a training of a few steps, in this process alone."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    return ["--weights", str(small), "--size", "128", "--images", "24", "--device", "cpu"]


def test_a_set_becomes_weights_a_page_and_a_command(tmp_path, quick, capsys):
    data = write_yolo(tmp_path / "set", 9)
    output = tmp_path / "my.safetensors"
    assert main(["train", str(data), "--output", str(output), *quick]) == 0
    said = capsys.readouterr().out
    assert "YOLO: 9 images; objects: ball" in said
    assert "6 images to train on, 3 to measure on" in said
    assert f"mobileinst track VIDEO --weights {output} --output out.mp4" in said
    assert "100 %" in said
    for name in (*CLASSES, "mean"):
        assert f"\n{name} " in said
    weights = load_weights(output)
    assert weights.classes == CLASSES
    assert weights.size == 128
    assert len(weights.score_threshold) == 2
    assert set(weights.card["training_sets"]) == {"earlier", "own"}
    assert set(weights.card["validation"]) >= {"AP", "AP50", "AP ball", "AP50 brick"}
    assert "\nint8: AP " in said
    assert weights.ranges
    assert any(name.endswith(ROUNDING) for name in weights.tensors)
    segmenter = Segmenter(output)
    assert set(segmenter.segment(picture(0), score_threshold=0.0).names) <= set(CLASSES)
    page = (tmp_path / "my.html").read_text()
    assert page.count("<img ") == 6
    assert "annotated" in page
    assert "my.training" in {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "my.training" / "draft.safetensors").exists()


@pytest.mark.parametrize(
    ("loss", "kept", "said"),
    [(0.02, False, "too little"), (0.005, True, "int8: AP"), (None, True, "no int8")],
)
def test_ranges_are_kept_unless_int8_loses_too_much(tmp_path, quick, capsys, monkeypatch, loss, kept, said):
    """As if fp32 had an AP of 0.5, and int8 so much less; or none at all, where it can't be measured."""
    from weights_tools.own_objects import finish as module

    plain = module.measure

    def measured(weights, annotations, classes, precision="auto"):
        found = plain(weights, annotations, classes, precision)
        found.stats[0] = 0.5 - (loss or 0.0) * (precision == "int8")  # AP
        return found

    monkeypatch.setattr(module, "measure", measured)
    if loss is None:
        monkeypatch.setattr(module, "offered_precisions", lambda: ["fp32"])
    data = write_yolo(tmp_path / "set", 5)
    output = tmp_path / "my.safetensors"
    assert main(["train", str(data), "--output", str(output), *quick]) == 0
    assert said in capsys.readouterr().out
    weights = load_weights(output)
    assert bool(weights.ranges) == kept
    assert any(name.endswith(ROUNDING) for name in weights.tensors) == kept


def test_every_command_takes_the_weights(tmp_path, quick):
    data = write_labelme(tmp_path / "set", 5)
    output = tmp_path / "my.safetensors"
    assert main(["train", str(data), "--output", str(output), "-q", *quick]) == 0
    weights = ["--weights", str(output)]
    lines = tmp_path / "out.jsonl"
    frames = tmp_path / "frames"
    write_coco(frames, 3)
    assert main(["track", str(frames / "images"), *weights, "--json", str(lines), "-q"]) == 0
    assert len(lines.read_text().splitlines()) == 3
    labelled = tmp_path / "labelled"
    command = [
        "segment",
        str(frames / "images"),
        *weights,
        "--label-out",
        "coco",
        "--output-dir",
        str(labelled),
    ]
    assert main([*command, "-q"]) == 0
    assert json.loads((labelled / "coco" / "annotations" / "instances_default.json").read_text())[
        "categories"
    ]
    measured = tmp_path / "eval.json"
    annotations = frames / "annotations" / "instances_default.json"
    command = ["eval", "coco", "--annotations", str(annotations), "--images", str(frames / "images")]
    assert main([*command, *weights, "--output", str(measured), "-q"]) == 0
    assert main(["info", str(output)]) == 0


def test_it_goes_on_where_it_was_stopped(tmp_path, quick, capsys, monkeypatch):
    from weights_tools.own_objects import run as module

    data = write_coco(tmp_path / "set", 6)
    command = ["train", str(data), "--output", str(tmp_path / "my.safetensors"), *quick]
    options = module.RunOptions
    with monkeypatch.context() as patch:
        patch.setattr(module, "RunOptions", lambda *a, **k: options(*a, **k, stop_after=1))
        assert main(command) == 130
    assert "the same command goes on from here" in capsys.readouterr().out
    assert not (tmp_path / "my.safetensors").exists()
    folder = tmp_path / "my.training"
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    assert state["images"] == 8
    assert main(command) == 0
    assert "going on at 33 %" in capsys.readouterr().out
    assert [e["images"] for e in read_log(folder / LOG)][-1] == 24
    assert (tmp_path / "my.safetensors").exists()


def test_a_folder_of_another_training_is_refused(tmp_path, quick, capsys):
    folder = tmp_path / "run"
    data = write_coco(tmp_path / "set", 5)
    command = ["train", str(data), "--output", str(tmp_path / "my.safetensors"), "--run", str(folder), *quick]
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert main(command) == 2
    assert "exists and holds no training" in capsys.readouterr().err
    (folder / "notes.txt").unlink()
    assert main([*command, "-q"]) == 0
    assert main([*command, "--seed", "1"]) == 2
    assert "holds a training of other images, annotations or options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected --output W.safetensors, or --check"),
        (["--output", "my.pt"], "expected an output that ends in .safetensors, got my.pt"),
        (["--output", "my.safetensors", "--size", "100"], "--size: expected a multiple of 32"),
        (["--output", "no/such/my.safetensors"], "no/such"),
    ],
)
def test_wrong_options_are_one_line(options, message, tmp_path, capsys, monkeypatch):
    data = write_coco(tmp_path / "set", 3)
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(data), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_wrong_data_leave_nothing_behind(tmp_path, capsys):
    data = write_yolo(tmp_path / "set", 4)
    (data / "labels" / "train" / "0.txt").write_text("7 0 0 1 0 1 1\n")
    assert main(["train", str(data), "--output", str(tmp_path / "my.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "0.txt:1: class 7 is not among the 2 names" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_check_lists_what_is_wrong(tmp_path, capsys):
    data = write_yolo(tmp_path / "set", 6)
    assert main(["train", str(data), "--check"]) == 0
    assert "4 images to train on, 2 to measure on" in capsys.readouterr().out
    for number in (0, 1):
        (data / "labels" / "train" / f"{number}.txt").write_text("7 0 0 1 0 1 1\n")
    assert main(["train", str(data), "--check"]) == 1
    said = capsys.readouterr().out
    assert "0.txt:1:" in said
    assert "1.txt:1:" in said
    assert "2 errors" in said


def test_check_warns_of_duplicates(tmp_path, capsys):
    data = write_yolo(tmp_path / "set", 6)
    shutil.copy(data / "images" / "train" / "0.png", data / "images" / "val" / "2.png")
    assert main(["train", str(data), "--check"]) == 0
    said = capsys.readouterr().out
    assert f"2.png: looks like {data / 'images' / 'train' / '0.png'}, which is trained on" in said


def test_an_image_that_ends_early_leaves_nothing_behind(tmp_path, quick, capsys):
    data = write_coco(tmp_path / "set", 5)
    file = data / "images" / "3.png"
    file.write_bytes(file.read_bytes()[:2000])
    command = ["train", str(data), "--output", str(tmp_path / "my.safetensors"), *quick]
    assert main(command) == 2
    assert f"{file}: can't be read as an image" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    assert main([*command, "--skip-bad"]) == 0
    assert f"warning: {file}: can't be read as an image" in capsys.readouterr().out


def test_without_the_extra_it_is_named(tmp_path):
    data = write_coco(tmp_path / "set", 3)
    script = (
        "import sys\nsys.modules['torch'] = None\nfrom mobileinst.cli import main\n"
        f"sys.exit(main(['train', {str(data)!r}, '--output', {str(tmp_path / 'my.safetensors')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert 'pip install "mobileinst[train]"' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_boxes_alone_train_too(tmp_path, quick, capsys):
    data = write_yolo(tmp_path / "set", 6)
    for file in sorted((data / "labels").glob("*/*.txt"))[:-1]:  # one has masks
        file.write_text("0 0.3 0.4 0.3 0.4\n1 0.7 0.5 0.2 0.3\n")
    assert main(["train", str(data), "--output", str(tmp_path / "my.safetensors"), *quick]) == 0
    losses = [e for e in read_log(tmp_path / "my.training" / LOG) if "val" in e]
    assert losses
    assert np.isfinite(
        load_weights(tmp_path / "my.safetensors").tensors["mask_decoder.projection.weight"]
    ).all()
