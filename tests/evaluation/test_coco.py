"""COCO evaluation: agreement with pycocotools used directly, classes, crowds, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.evaluation import DataError
from mobileinst.evaluation import evaluate as evaluation_of_either
from mobileinst.evaluation.coco import evaluate
from tests.support.eval_data import box, rle

pytest.importorskip("pycocotools")


def random_set(seed: int, images: int = 6) -> tuple[dict, list[dict]]:
    """Images of two categories; every object is found by a mask that is moved a little."""
    rng = np.random.default_rng(seed)
    gt: dict[str, Any] = {
        "images": [{"id": i + 1, "height": 120, "width": 160} for i in range(images)],
        "categories": [
            {"id": 1, "name": "person", "supercategory": "person"},
            {"id": 3, "name": "car", "supercategory": "vehicle"},
            {"id": 17, "name": "cat", "supercategory": "animal"},
        ],
        "annotations": [],
    }
    found = []
    for number in range(6 * images):
        y, x, h, w = (int(n) for n in rng.integers([0, 0, 5, 5], [80, 100, 70, 90]))
        image, category = int(rng.integers(images)) + 1, int(rng.choice([1, 3, 17]))
        mask = box(120, 160, y, x, h, w)
        crowd = rng.random() < 0.1
        gt["annotations"].append(
            {
                "id": number + 1,
                "image_id": image,
                "category_id": category,
                "iscrowd": int(crowd),
                "area": int(mask.sum()),
                "bbox": [x, y, w, h],
                "segmentation": rle(mask, compressed=False),
            }
        )
        shift = rng.integers(-6, 7, 2)
        found.append(
            {
                "image_id": image,
                "category_id": category,
                "score": float(rng.random()),
                "segmentation": rle(box(120, 160, y + shift[0], x + shift[1], h, w)),
            }
        )
    return gt, found


@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools(seed: int, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    gt, found = random_set(seed)
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "gt.json"))
        run = COCOeval(truth, truth.loadRes(json.loads(json.dumps(found))), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    before = json.dumps([gt, found])
    evaluation = evaluate(gt, found)
    np.testing.assert_allclose(evaluation.stats, run.stats, rtol=0, atol=1e-12)
    assert 0.1 < evaluation["AP"] < 0.9
    assert json.dumps([gt, found]) == before, "the caller's objects were changed"
    (tmp_path / "results.json").write_text(json.dumps(found))
    again = evaluate(str(tmp_path / "gt.json"), tmp_path / "results.json")
    np.testing.assert_array_equal(again.stats, evaluation.stats)
    np.testing.assert_array_equal(evaluate(truth, found).stats, evaluation.stats)
    np.testing.assert_array_equal(evaluation_of_either(gt, found).stats, evaluation.stats)


def test_per_class_is_the_evaluation_of_that_class_alone() -> None:
    gt, found = random_set(7)
    evaluation = evaluate(gt, found)
    alone = evaluate({**gt, "categories": gt["categories"][1:2]}, found)
    assert evaluation.per_class["car"]["AP"] == pytest.approx(alone["AP"])
    assert alone.classes == ("car",)
    assert evaluation.best_f1("car") == alone.best_f1("car")
    assert evaluation.best_f1("car")[0] > alone["AP50"] / 2
    mean = np.mean([stats["AP"] for stats in evaluation.per_class.values()])
    assert evaluation["AP"] == pytest.approx(mean)


def test_classes_by_supercategory() -> None:
    gt, found = random_set(1)
    whole = evaluate(gt, found, classes=["person", "vehicle", "animal"])
    assert whole.category_ids == (1, 18, 19)
    # Here each supercategory has one category, so nothing but the numbering changes.
    np.testing.assert_allclose(whole.stats, evaluate(gt, found).stats)
    renumbered = [entry | {"category_id": {1: 1, 3: 18, 17: 19}[entry["category_id"]]} for entry in found]
    np.testing.assert_allclose(
        evaluate(gt, renumbered, classes=["person", "vehicle", "animal"]).stats, whole.stats
    )
    # In the classes person and animal, cars are neither objects nor false positives.
    fewer = evaluate(gt, found, classes=["person", "animal"])
    assert fewer.per_class["animal"]["AP"] == pytest.approx(whole.per_class["animal"]["AP"])
    assert sum(fewer.predictions) == sum(entry["category_id"] != 3 for entry in found)


def test_predictions_in_a_crowd_do_not_count() -> None:
    gt, _ = random_set(0, images=1)
    one, crowd = box(120, 160, 0, 0, 30, 30), box(120, 160, 60, 60, 60, 60)
    base = gt["annotations"][0] | {"category_id": 1, "image_id": 1}
    gt["annotations"] = [
        base | {"id": 1, "iscrowd": 0, "area": 900, "segmentation": rle(one)},
        base | {"id": 2, "iscrowd": 1, "area": 3600, "segmentation": rle(crowd, compressed=False)},
    ]
    parts = [box(120, 160, 60, 60, 20, 20), one, box(120, 160, 90, 90, 20, 20)]
    found = [
        {"image_id": 1, "category_id": 1, "score": 0.9 - 0.1 * i, "segmentation": rle(mask)}
        for i, mask in enumerate(parts)
    ]
    evaluation = evaluate(gt, found)
    assert evaluation["AP"] == pytest.approx(1)
    assert evaluation.objects == (1, 0, 0)


def test_uncompressed_results_and_none_at_all() -> None:
    gt, found = random_set(2)
    from mobileinst.evaluation.run_lengths import decompress

    plain = [
        entry
        | {
            "segmentation": {
                "size": [120, 160],
                "counts": decompress(entry["segmentation"]["counts"]).tolist(),
            }
        }
        for entry in found
    ]
    np.testing.assert_array_equal(evaluate(gt, plain).stats, evaluate(gt, found).stats)
    assert evaluate(gt, [])["AP"] == 0
    assert evaluate({**gt, "annotations": []}, [])["AP"] == -1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_id": 99}, "result 2: image_id 99 is not in the annotations"),
        ({"score": float("inf")}, "result 2: expected a finite number"),
        ({"segmentation": [[1, 1, 2, 2]]}, "result 2: expected a polygon of 3 or more points"),
        ({"segmentation": rle(np.ones((160, 120), bool))}, r"result 2: expected a mask of .* = \[120, 160\]"),
    ],
)
def test_results_that_are_wrong(changes: dict, says: str) -> None:
    gt, found = random_set(2)
    found[2] |= changes
    with pytest.raises(DataError, match=says):
        evaluate(gt, found)


def test_without_pycocotools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ImportError, match=r'pip install "mobileinst\[eval\]"'):
        evaluate(*random_set(0))
