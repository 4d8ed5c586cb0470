"""Running over a set with a stand-in network, going on after interruptions, and `mobileinst eval`."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst import Segmenter, Tracker, Weights
from mobileinst.cli import main
from mobileinst.evaluation import DataError, coco, youtube_vis
from mobileinst.evaluation.runner import ScoreRecorder, run_coco, run_youtube_vis
from mobileinst.evaluation.set_run import Journal, RunReport
from mobileinst.evaluation.validate import validate
from mobileinst.weights import save_weights
from tests.support.eval_data import rle
from tests.support.fake_model import ColorModel, scene
from tests.support.networks import CONFIG, make_metadata
from tests.support.random_weights import random_tensors

image_module = pytest.importorskip("PIL.Image")

CATEGORIES = [
    {"id": 4, "name": "box", "supercategory": "square"},
    {"id": 6, "name": "tree", "supercategory": "plant"},
]
PATHS = [{"red": (8, 8 + 4 * t), "blue": (32, 64 - 4 * t)} for t in range(6)]


def square(row: int, column: int) -> dict[str, Any]:
    mask = np.zeros((64, 96), bool)
    mask[row : row + 24, column : column + 24] = True
    return rle(mask)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for video in ("one", "two"):
        (folder / video).mkdir(parents=True)
        for number, squares in enumerate(PATHS):
            image_module.fromarray(scene(**squares)).save(folder / video / f"{number}.png")
    return folder


@pytest.fixture
def coco_set(tmp_path: Path, images: Path) -> Path:
    entries = [
        {"image_id": image, "category_id": 4, "iscrowd": 0, "area": 576, "segmentation": square(*place)}
        for image, squares in enumerate(PATHS)
        for place in squares.values()
    ]
    data = {
        "images": [{"id": i, "file_name": f"one/{i}.png", "height": 64, "width": 96} for i in range(6)],
        "categories": CATEGORIES,
        "annotations": [entry | {"id": i + 1, "bbox": [0, 0, 1, 1]} for i, entry in enumerate(entries)],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def video_set(tmp_path: Path, images: Path) -> Path:
    videos = [
        {"id": i, "file_names": [f"{name}/{n}.png" for n in range(6)], "height": 64, "width": 96, "length": 6}
        for i, name in ((3, "one"), (8, "two"))
    ]
    tracks = [
        {"video_id": video, "category_id": 4, "iscrowd": 0, "segmentations": [square(*p[c]) for p in PATHS]}
        for video in (3, 8)
        for c in ("red", "blue")
    ]
    data = {
        "videos": videos,
        "categories": CATEGORIES,
        "annotations": [track | {"id": i + 1, "areas": [576] * 6} for i, track in enumerate(tracks)],
    }
    path = tmp_path / "videos.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def colors(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """A Segmenter that finds colored squares; its other class is none of the set's."""
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    metadata = make_metadata(classes=["square", "other"], score_threshold=0.5)
    return Segmenter(Weights({}, metadata), size=(64, 96))


def test_coco_run(colors: Segmenter, coco_set: Path, images: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    output = tmp_path / "results.json"
    report = run_coco(colors, coco_set, images, output=output)
    assert json.loads(output.read_text()) == report.results
    assert [path.name for path in tmp_path.glob("*partial*")] == []
    assert (report.frames, report.resumed, len(report.results)) == (6, 0, 12)
    mapping = report.mapping
    assert mapping is not None
    assert (mapping.names, mapping.ids, mapping.missing) == (("square",), (7,), ("other",))
    assert {entry["category_id"] for entry in report.results} == {7}
    evaluation = coco.evaluate(coco_set, output, classes=mapping.names)
    assert evaluation["AP50"] == pytest.approx(1)
    assert evaluation["AP"] > 0.5
    assert validate(output, json.loads(coco_set.read_text()) | {"categories": [{"id": 7}]}, "coco") == []


def test_mirrored_images(colors: Segmenter, coco_set: Path, images: Path) -> None:
    """The model sees flipped images, the annotations fit its masks as they are."""
    seen = []

    def segment(image: np.ndarray, *options: Any) -> Any:
        seen.append(image)
        return Segmenter.segment(colors, image, *options)

    colors.segment = segment  # type: ignore[method-assign]
    plain, mirrored = (run_coco(colors, coco_set, images, mirror=mirror).results for mirror in (False, True))
    np.testing.assert_array_equal(seen[6], seen[0][:, ::-1])
    evaluation = coco.evaluate(coco_set, mirrored, classes=["square"])
    assert len(mirrored) == len(plain)
    assert evaluation["AP50"] == pytest.approx(1)


def test_youtube_vis_run(colors: Segmenter, video_set: Path, images: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    report = run_youtube_vis(colors, video_set, images, output=output, keyframe_every=2)
    results = json.loads(output.read_text())
    assert results == report.results
    assert len(results) == 4
    assert [(r["video_id"], len(r["segmentations"])) for r in results] == [(3, 6), (3, 6), (8, 6), (8, 6)]
    assert all(mask is not None for r in results for mask in r["segmentations"])
    assert youtube_vis.evaluate(video_set, output, classes=["square"])["AP50"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["coco", "ytvis"])
def test_several_processes_give_the_same_results(
    kind: str, coco_set: Path, video_set: Path, images: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pycocotools")
    weights = tmp_path / "tiny.safetensors"
    metadata = make_metadata(classes=["box", "tree"], score_threshold=0.0)
    save_weights(weights, random_tensors(CONFIG), metadata)
    annotations = coco_set if kind == "coco" else video_set
    outputs = []
    for jobs in (1, 2):
        outputs.append(tmp_path / f"{jobs}.json")
        arguments = ["eval", kind, "--annotations", annotations, "--images", images, "--weights", weights]
        arguments += ["--output", outputs[-1], "--jobs", jobs, "--size", 64, "--min-score", 0]
        assert main([str(argument) for argument in arguments]) == 0
    assert json.loads(outputs[0].read_text())
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert (
        outputs[0].with_suffix(".stats.json").read_text() == outputs[1].with_suffix(".stats.json").read_text()
    )


def test_errors_of_other_processes_are_told(coco_set: Path, images: Path, tmp_path: Path) -> None:
    weights = Weights(random_tensors(CONFIG), make_metadata(classes=["box", "tree"], score_threshold=0.0))
    image_module.new("RGB", (90, 60)).save(images / "one" / "3.png")
    with pytest.raises(DataError, match=r"3\.png: expected \(64, 96\)"):
        run_coco(Segmenter(weights, threads=1, size=64), coco_set, images, jobs=2)
    assert list(tmp_path.glob("*partial*")) == []


class Stopping:
    """A Segmenter that is interrupted after some images."""

    def __init__(self, segmenter: Segmenter, after: int) -> None:
        self.segmenter, self.left = segmenter, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.segmenter, name)

    def segment(self, *args: Any, **options: Any) -> Any:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.segmenter.segment(*args, **options)


def interrupted(segmenter: Segmenter, after: int, *args: Any, **options: Any) -> RunReport:
    return run_coco(Stopping(segmenter, after), *args, **options)  # type: ignore[arg-type]


def test_goes_on_after_an_interruption(
    colors: Segmenter, coco_set: Path, images: Path, tmp_path: Path
) -> None:
    whole = run_coco(colors, coco_set, images).results
    output = tmp_path / "results.json"
    journal = tmp_path / "results.json.partial.jsonl"
    with pytest.raises(KeyboardInterrupt):
        interrupted(colors, 4, coco_set, images, output=output)
    assert not output.exists()
    assert len(journal.read_text().splitlines()) == 5
    # As a killed process leaves it: the last line is cut off, and that image is done again.
    journal.write_text(journal.read_text()[:-20])
    report = run_coco(colors, coco_set, images, output=output)
    assert (report.resumed, report.frames) == (3, 3)
    assert report.results == whole
    assert not journal.exists()


@pytest.mark.parametrize("change", ["threshold", "size", "components", "annotations", "weights"])
def test_does_not_mix_different_runs(
    colors: Segmenter, coco_set: Path, images: Path, tmp_path: Path, change: str
) -> None:
    output = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        interrupted(colors, 4, coco_set, images, output=output)
    options: dict[str, Any] = {"output": output}
    if change == "threshold":
        options["score_threshold"] = 0.3
    elif change == "size":
        colors.size = (128, 192)
    elif change == "components":
        colors.components = "all"
    elif change == "annotations":
        data = json.loads(coco_set.read_text())
        data["images"] = data["images"][1:]
        coco_set.write_text(json.dumps(data))
    else:
        colors.weights.tensors = {"a": np.ones(1, np.float32)}
    assert run_coco(colors, coco_set, images, **options).resumed == 0


def test_journal_of_something_else_is_no_obstacle(tmp_path: Path) -> None:
    for text in ("", "[]\n", "\0\0", '{"key": "k"}\n[1, 2, 3]\n'):
        (tmp_path / "r.json.partial.jsonl").write_text(text)
        with closing(Journal(tmp_path / "r.json", "k")) as journal:
            assert journal.done == {}


def test_scores_of_tracks_are_means_over_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobileinst.tracking import Detections

    recorder = ScoreRecorder.like(Tracker(iou_weight=0, forget_after=3))
    assert (recorder.iou_weight, recorder.forget_after) == (0, 3)
    thresholds = np.full(2, 0.4, np.float32)
    for first, second in ((0.9, 0.1), (0.7, 0.2), (0.5, 0.6)):
        recorder.next_frame((8, 8), 1)
        scores = np.array([[first, second]], np.float32)
        recorder.update(Detections(np.ones((1, 4), np.float32), scores, np.ones((1, 8, 8), bool)), thresholds)
    assert recorder.mean_scores()[1] == pytest.approx([0.7, 0.3])
    recorder.reset()
    assert recorder.mean_scores() == {}


def test_sets_that_do_not_fit(colors: Segmenter, coco_set: Path, images: Path, tmp_path: Path) -> None:
    data = json.loads(coco_set.read_text())
    with pytest.raises(DataError, match=r"none of the model's classes \(square, other\)"):
        run_coco(colors, data | {"categories": CATEGORIES[1:]}, images)
    data["images"][2]["height"] = 65
    with pytest.raises(
        DataError, match=r"2.png: expected \(65, 96\) \(height, width\) pixels, got \(64, 96\)"
    ):
        run_coco(colors, data, images)
    (images / "one" / "5.png").unlink()
    with pytest.raises(DataError, match=r"5\.png is missing"):
        run_coco(colors, data, images, output=tmp_path / "r.json")
    assert not list(tmp_path.glob("r.json*"))


# --- the command, on a small network with random weights ---


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    metadata = make_metadata(score_threshold=0.01)
    metadata["classes"][0] = "square"
    save_weights(path, random_tensors(CONFIG), metadata)
    return path


@pytest.mark.parametrize("kind", ["coco", "ytvis"])
def test_command(
    kind: str,
    coco_set: Path,
    video_set: Path,
    images: Path,
    tiny: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pycocotools")
    annotations = {"coco": coco_set, "ytvis": video_set}[kind]
    output = tmp_path / "out" / "found.json"
    output.parent.mkdir()
    arguments = ["eval", kind, "--annotations", str(annotations), "--images", str(images)]
    arguments += ["--weights", str(tiny), "--output", str(output), "--size", "64", "--min-score", "0.001"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "AP50" in said.out
    assert ("IDF1" in said.out) == (kind == "ytvis")
    assert "category ids: square = 7" in said.out
    assert said.err == ""
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == ["found.json", "found.stats.json", "found.svg"]
    stats = json.loads(output.with_suffix(".stats.json").read_text())
    evaluate = {"coco": coco, "ytvis": youtube_vis}[kind].evaluate
    assert stats["AP"] == evaluate(annotations, output, classes=["square"])["AP"]
    # The same file measured again, without a model.
    assert ("tracks" in stats) == (kind == "ytvis")
    arguments = ["eval", kind, "--annotations", str(annotations), "--results", str(output)]
    assert main([*arguments, "--classes", "square"]) == 0
    assert json.loads(output.with_suffix(".stats.json").read_text())["AP"] == stats["AP"]


def test_command_with_mirror(
    coco_set: Path, images: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pycocotools")
    output = tmp_path / "out" / "found.json"
    output.parent.mkdir()
    arguments = ["eval", "coco", "--annotations", str(coco_set), "--images", str(images), "--mirror"]
    arguments += ["--weights", str(tiny), "--output", str(output), "--size", "64"]
    assert main(arguments) == 0
    assert "flipped from left to right" in capsys.readouterr().out
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == ["found.json", "found.mirror.json", "found.stats.json", "found.svg"]
    stats = json.loads(output.with_suffix(".stats.json").read_text())
    mirrored = coco.evaluate(coco_set, output.with_suffix(".mirror.json"), classes=["square"])
    assert stats["mirror"]["AP"] == mirrored["AP"]
    arguments = ["eval", "coco", "--annotations", str(coco_set), "--results", str(output), "--mirror"]
    assert main(arguments) == 2
    assert "--mirror runs the model" in capsys.readouterr().err


def test_a_missing_extra_is_named_before_the_run(
    coco_set: Path,
    images: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, name, None)
    arguments = ["eval", "coco", "--annotations", str(coco_set), "--images", str(images)]
    arguments += ["--weights", str(tiny), "--size", "64", "--output", str(tmp_path / "found.json")]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert (said.out, 'pip install "mobileinst[eval]"' in said.err) == ("", True)
    assert not (tmp_path / "found.json").exists()


def test_command_check(coco_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"image_id": 0, "category_id": 4, "score": 0.5, "segmentation": square(3, 3)}
    path = tmp_path / "r.json"
    path.write_text(json.dumps([good] * 2))
    assert main(["eval", "check", str(path), "--annotations", str(coco_set)]) == 0
    assert "0 errors, 1 warnings" in capsys.readouterr().out
    path.write_text(json.dumps([good, *([good | {"score": "high"}] * 30)]))
    assert main(["eval", "check", str(path), "--annotations", str(coco_set)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "error: result 1: expected a number as score, got 'high'"
    assert said[-2:] == ["... and 11 more", f"{path}: 30 errors, 1 warnings"]


def test_command_says_what_is_missing(coco_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "coco", "--annotations", str(coco_set)]) == 2
    assert "expected --images DIR to run the model on" in capsys.readouterr().err
    assert main(["eval", "ytvis", "--annotations", str(coco_set), "--results", str(coco_set)]) == 2
    assert "expected a list under 'videos'" in capsys.readouterr().err
