"""What stands beside times in other precisions: pictures that ranges are from, and AP of any contestant."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.contestants.base import Array, Case, Files, Outputs
from benchmarks.contestants.mobileinst_engine import MobileInstEngine
from benchmarks.support import accuracy, pictures
from mobileinst import Instances, Segmenter
from mobileinst.weights import find_weights, load_weights

Image = pytest.importorskip("PIL.Image")

SIZE = (96, 128)


@pytest.fixture(scope="module")
def frame() -> NDArray[np.uint8]:
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    return np.asarray(coarse.repeat(10, 0).repeat(10, 1), np.uint8)


def our_engine() -> tuple[MobileInstEngine, Case, Files]:
    config, files = load_weights().config, Files(Path(find_weights(None)), Path("none.onnx"))
    case = Case(config.backbone, config.width, *SIZE, "masks", 1)
    engine = MobileInstEngine()
    engine.load(files, case)
    return engine, case, files


def annotated(folder: Path, frame: NDArray[np.uint8], found: Instances) -> tuple[Path, Path]:
    """Annotations of what was found in a picture, three times, and the pictures' folder."""
    names = [f"{i}.png" for i in range(3)]
    for name in names:
        Image.fromarray(frame).save(folder / name)
    height, width = frame.shape[:2]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(load_weights().classes)]
    annotations = []
    for image in range(len(names)):
        for i, rle in enumerate(found.rle()):
            one = {"image_id": image, "category_id": int(found.labels[i]) + 1, "iscrowd": 0}
            area = float(found.mask(i).sum())
            annotations.append({"id": len(annotations) + 1, **one, "segmentation": rle, "area": area})
            annotations[-1]["bbox"] = [0, 0, width, height]
    images = [{"id": i, "file_name": n, "height": height, "width": width} for i, n in enumerate(names)]
    path = folder / "instances.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories}),
        encoding="utf-8",
    )
    return path, folder


def test_a_contestant_gives_the_instances_that_our_network_does(frame: NDArray[np.uint8]) -> None:
    segmenter = Segmenter(threads=1, size=SIZE)
    own = segmenter.segment(frame, 0.001)
    engine, case, _ = our_engine()
    segmenter._model = accuracy._ContestantModel(engine, case, segmenter.weights)  # type: ignore[assignment]
    found = segmenter.segment(frame, 0.001)
    assert len(own) > 0
    assert np.array_equal(found.scores, own.scores)
    assert found.rle() == own.rle()


class Blind:
    """Gives a contestant's outputs with masks of nothing."""

    def __init__(self, engine: MobileInstEngine) -> None:
        self._engine = engine

    def run(self, image: Array) -> Outputs:
        found = self._engine.run(image)
        return {**found, "mask_logits": found["mask_logits"] * 0 - 9}


def test_ap_is_of_the_contestants_own_masks(tmp_path: Path, frame: NDArray[np.uint8]) -> None:
    pytest.importorskip("pycocotools")
    engine, case, files = our_engine()
    truth = Segmenter(threads=1, size=SIZE).segment(frame, 0.001)
    annotations, images = annotated(tmp_path, frame, truth)
    assert accuracy.average_precision(engine, case, files, annotations, images) > 0.99
    blind = Blind(engine)
    assert accuracy.average_precision(blind, case, files, annotations, images) <= 0  # type: ignore[arg-type]


def test_ranges_are_from_pictures_spread_over_the_set(tmp_path: Path, frame: NDArray[np.uint8]) -> None:
    annotations, images = annotated(tmp_path, frame, Instances.empty(frame.shape[:2]))
    chosen = pictures.Pictures(annotations, images)
    assert [path.name for path in chosen.calibration()] == ["0.png", "1.png", "2.png"]
    weights, (_, case, files) = load_weights(), our_engine()
    target = tmp_path / "calibration.npy"
    pictures.write_calibration(chosen, case, weights, target)
    kept = np.load(target)
    assert kept.shape == (3, 3, *SIZE)
    session = Segmenter(threads=1)._model.session(*SIZE)
    session.load_frame(frame, bgr=weights.color == "bgr")
    assert np.array_equal(kept[0], session._plan.read(session._tensors["image"]))
    found = list(Files(files.weights, files.onnx, None, target).calibration_images(case))
    assert len(found) == 3
    assert np.array_equal(found[0], kept[:1])
    noise = list(files.calibration_images(case))
    assert {image.shape for image in noise} == {(1, 3, *SIZE)}


def test_pictures_are_asked_for_where_integers_need_them(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    pictures.add_options(parser)
    assert pictures.chosen_pictures(parser.parse_args([]), needed=False) is None
    for arguments in ([], ["--annotations", "a.json"]):
        with pytest.raises(ValueError, match="expected both of --annotations and --images"):
            pictures.chosen_pictures(parser.parse_args(arguments), needed=True)
    both = parser.parse_args(["--annotations", str(tmp_path / "a.json"), "--images", str(tmp_path)])
    found = pictures.chosen_pictures(both, needed=False)
    assert found is not None
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="expected annotations in COCO's format with images"):
        found.calibration()


def test_we_run_the_weights_with_ranges_in_integers_only() -> None:
    plain, ranged = Path("w"), Path("w.int8")
    files = Files(plain, Path("o"), ranged)
    assert [files.own_weights(x) for x in ("fp32", "fp16", "int8", "auto")] == [plain, plain, ranged, ranged]
    assert Files(plain, Path("o")).own_weights("int8") == plain
