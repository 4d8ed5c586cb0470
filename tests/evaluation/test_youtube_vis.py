"""The YouTube-VIS evaluator against the official statistics, pycocotools and known answers."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileinst.evaluation import DataError
from mobileinst.evaluation import evaluate as evaluation_of_either
from mobileinst.evaluation.summary import STATISTICS
from mobileinst.evaluation.youtube_vis import AREA_RANGES, evaluate
from tests.support.eval_data import annotations, box, results, rle, runs_of


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict, list, dict]:
    folder = shared / "golden" / "ytvos_eval"
    names = ("gt", "results", "stats")
    return tuple(json.loads((folder / f"{name}.json").read_text()) for name in names)  # type: ignore[return-value]


def uncompressed(gt: dict, share: float) -> dict:
    from mobileinst.evaluation.run_lengths import decompress

    rng = np.random.default_rng(0)
    gt = copy.deepcopy(gt)
    for annotation in gt["annotations"]:
        for mask in annotation["segmentations"]:
            if mask and rng.random() < share:
                mask["counts"] = decompress(mask["counts"]).tolist()
    return gt


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_equals_the_official_statistics(golden: tuple[dict, list, dict], share: float) -> None:
    gt, found, official = golden
    evaluation = evaluate(uncompressed(gt, share), found)
    assert official["order"] == list(STATISTICS)
    np.testing.assert_allclose(evaluation.stats, official["stats"], rtol=0, atol=1e-12)
    assert sum(evaluation.predictions) == official["n_dt"]


def test_reads_files(golden: tuple[dict, list, dict], shared: Path) -> None:
    folder = shared / "golden" / "ytvos_eval"
    evaluation = evaluate(folder / "gt.json", str(folder / "results.json"))
    assert evaluation["AP"] == pytest.approx(golden[2]["stats"][0], abs=1e-12)
    assert evaluation.to_dict()["AP50"] == evaluation["AP50"]
    either = evaluation_of_either(folder / "gt.json", folder / "results.json")
    np.testing.assert_array_equal(either.stats, evaluation.stats)


# --- against pycocotools: a video laid out as one wide image is the same problem ---


def reference(gt: dict, found: list[dict]) -> np.ndarray:
    """COCOeval on videos whose frames stand side by side; crowds lose COCO's special overlap."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    coco_class = pytest.importorskip("pycocotools.coco").COCO
    mask_tools = pytest.importorskip("pycocotools.mask")

    class PlainCrowds(cocoeval.COCOeval):
        def computeIoU(self, item: Any, category: Any) -> Any:
            objects, predictions = self._gts[item, category], self._dts[item, category]
            if not objects or not predictions:
                return []
            order = np.argsort([-p["score"] for p in predictions], kind="mergesort")[:100]
            masks = [predictions[i]["segmentation"] for i in order]
            return mask_tools.iou(masks, [o["segmentation"] for o in objects], [0] * len(objects))

    def wide(entry: dict) -> dict:
        video = next(v for v in gt["videos"] if v["id"] == entry["video_id"])
        frames = []
        for mask in entry["segmentations"]:
            dense = np.zeros((video["height"], video["width"]), np.uint8)
            if mask is not None:
                counts = mask["counts"]
                dense = np.repeat(np.arange(len(counts)) % 2, counts).reshape(dense.shape[::-1]).T
            frames.append(dense)
        return mask_tools.encode(np.asfortranarray(np.concatenate(frames, 1).astype(np.uint8)))

    def entries(source: list[dict]) -> list[dict]:
        made = []
        for number, entry in enumerate(source):
            areas = [sum(m["counts"][1::2]) for m in entry["segmentations"] if m is not None]
            areas = [a for a in entry.get("areas", areas) if a]
            made.append(
                {
                    "id": entry.get("id", number + 1),
                    "image_id": entry["video_id"],
                    "category_id": entry["category_id"],
                    "score": entry.get("score"),
                    "iscrowd": entry.get("iscrowd", 0),
                    "area": float(np.mean(areas)) if areas else 0.0,
                    "segmentation": wide(entry),
                }
            )
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for source in (gt["annotations"], found):
            side = coco_class()
            images = [{"id": v["id"], "height": v["height"], "width": v["width"]} for v in gt["videos"]]
            side.dataset = {
                "images": images,
                "categories": gt["categories"],
                "annotations": entries(source),
            }
            side.createIndex()
            sides.append(side)
        run = PlainCrowds(*sides, "segm")
        run.params.areaRng = [list(r) for r in AREA_RANGES_OF_TESTS]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.asarray(run.stats)


#: Ranges in which the small masks of these tests are spread.
AREA_RANGES_OF_TESTS = ((0.0, 1e10), (0.0, 12.0), (12.0, 30.0), (30.0, 1e10))


def random_set(seed: int) -> tuple[dict, list[dict]]:
    """Videos with few pixels, so that overlaps, ties and empty masks are frequent."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(2, 9, 2))
    videos = [
        {"id": int(i), "height": height, "width": width, "length": int(rng.integers(1, 4))}
        for i in rng.permutation(rng.integers(1, 4)) + 3
    ]
    categories = [{"id": int(c), "name": f"c{c}"} for c in rng.permutation(rng.integers(1, 4)) + 1]

    def mask() -> dict | None:
        if rng.random() < 0.25:
            return None
        y, x = rng.integers(-1, height), rng.integers(-1, width)
        h, w = rng.integers(1, height + 1), rng.integers(1, width + 1)
        return {"size": [height, width], "counts": runs_of(box(height, width, y, x, h, w))}

    def entry() -> dict:
        video = videos[rng.integers(len(videos))]
        return {
            "video_id": video["id"],
            "category_id": categories[rng.integers(len(categories))]["id"],
            "segmentations": [mask() for _ in range(video["length"])],
        }

    truths = []
    for number in range(rng.integers(0, 10)):
        truth = entry()
        truth |= {"id": number + 1, "iscrowd": int(rng.random() < 0.2)}
        if rng.random() < 0.5:
            truth["areas"] = [
                None if m is None else float(rng.integers(0, 60)) for m in truth["segmentations"]
            ]
        truths.append(truth)
    found = []
    for _ in range(rng.integers(1, 40)):
        result = entry()
        copied = [t for t in truths if t["video_id"] == result["video_id"]]
        if copied and rng.random() < 0.6:
            chosen = copied[rng.integers(len(copied))]
            result |= {k: chosen[k] for k in ("category_id", "segmentations")}
        found.append(result | {"score": float(rng.integers(0, 6)) / 5})
    return {"videos": videos, "categories": categories, "annotations": truths}, found


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_equals_pycocotools_on_videos_as_wide_images(seed: int) -> None:
    gt, found = random_set(seed)
    expected = reference(gt, found)
    evaluation = evaluate(gt, found, area_ranges=AREA_RANGES_OF_TESTS)
    np.testing.assert_allclose(evaluation.stats, expected, rtol=0, atol=1e-12)


def test_more_than_100_predictions_of_a_video() -> None:
    rng = np.random.default_rng(3)
    gt, _ = random_set(11)
    gt["annotations"] = []
    found = []
    for number in range(130):
        video = gt["videos"][0]
        y, x = rng.integers(0, video["height"]), rng.integers(0, video["width"])
        mask = {
            "size": [video["height"], video["width"]],
            "counts": runs_of(box(video["height"], video["width"], y, x, 2, 2)),
        }
        entry = {"video_id": video["id"], "category_id": 1, "segmentations": [mask] * video["length"]}
        found.append(entry | {"score": float(rng.integers(0, 50))})
        if number % 10 == 0:
            gt["annotations"].append(entry | {"id": number + 1, "iscrowd": 0})
    evaluation = evaluate(gt, found, area_ranges=AREA_RANGES_OF_TESTS)
    np.testing.assert_allclose(evaluation.stats, reference(gt, found), rtol=0, atol=1e-12)
    # The 30 worst are beyond the limit of 100 and can't matter.
    order = sorted(range(130), key=lambda i: -found[i]["score"])[:100]
    best = evaluate(gt, [found[i] for i in sorted(order)], area_ranges=AREA_RANGES_OF_TESTS)
    np.testing.assert_array_equal(best.stats, evaluation.stats)


# --- known answers ---


def test_iou_of_tracks_counts_missing_masks() -> None:
    mask = box(20, 30, 2, 3, 4, 5)
    gt = annotations([[mask, mask, mask, mask]])
    # Found in 3 of 4 frames: IoU 0.75, which passes the thresholds 0.50 .. 0.75: 6 of 10.
    evaluation = evaluate(gt, results([[mask, mask, None, mask]]))
    assert evaluation["AP"] == pytest.approx(0.6)
    assert evaluation["AP75"] == pytest.approx(1)
    # One frame too many: 3 / 5 passes 0.50, 0.55 and 0.60.
    gt = annotations([[mask, mask, None, mask, None]])
    evaluation = evaluate(gt, results([[mask, mask, mask, mask, mask]]))
    assert evaluation["AP"] == pytest.approx(0.3)
    assert evaluation["AR1"] == pytest.approx(0.3)


def test_empty_mask_of_a_result_counts_as_missing() -> None:
    mask, empty = box(20, 30, 2, 3, 4, 5), np.zeros((20, 30), bool)
    gt = annotations([[mask, None]])
    assert evaluate(gt, results([[mask, empty]]))["AP"] == pytest.approx(1)


def test_crowd_is_ignored_without_special_overlap() -> None:
    crowd, part = box(20, 30, 0, 0, 20, 20), box(20, 30, 0, 0, 10, 10)
    one = box(20, 30, 5, 22, 5, 5)
    gt = annotations([[one], [crowd]])
    gt["annotations"][1]["iscrowd"] = 1
    # COCO would forgive `part`, whose pixels all lie in the crowd; YouTube-VIS doesn't.
    evaluation = evaluate(gt, results([[part], [one]], [0.9, 0.8]))
    assert evaluation["AP"] == pytest.approx(0.5)
    assert evaluation.objects == (1,)
    # What covers the crowd is ignored, however often.
    evaluation = evaluate(gt, results([[crowd], [crowd], [one]], [0.9, 0.9, 0.8]))
    assert evaluation["AP"] == pytest.approx(1)


def test_ties_keep_the_order_of_the_file() -> None:
    one, other = box(20, 30, 0, 0, 5, 5), box(20, 30, 10, 10, 5, 5)
    gt = annotations([[one]])
    assert evaluate(gt, results([[one], [other]], [0.5, 0.5]))["AP"] == pytest.approx(1)
    assert evaluate(gt, results([[other], [one]], [0.5, 0.5]))["AP"] == pytest.approx(0.5)


def test_area_ranges_go_by_the_annotated_mean() -> None:
    height = width = 300
    mask = box(height, width, 0, 0, 200, 200)
    gt = annotations([[mask, mask]], height, width, areas=[128 * 128 - 1, None])
    evaluation = evaluate(gt, results([[mask, mask]]))
    assert (evaluation["APs"], evaluation["APm"], evaluation["APl"]) == pytest.approx((1, -1, -1))
    del gt["annotations"][0]["areas"]
    evaluation = evaluate(gt, results([[mask, mask]]))
    assert (evaluation["APs"], evaluation["APm"], evaluation["APl"]) == pytest.approx((-1, 1, -1))
    assert len(AREA_RANGES) == 4


def test_without_objects_or_results() -> None:
    mask = box(20, 30, 2, 3, 4, 5)
    gt = annotations([[mask]])
    assert evaluate(gt, [])["AP"] == 0
    gt["categories"].append({"id": 2, "name": "dog", "supercategory": "animal"})
    found = [*results([[mask]]), results([[mask]])[0] | {"category_id": 2}]
    evaluation = evaluate(gt, found)
    assert evaluation["AP"] == pytest.approx(1)
    assert evaluation.per_class["dog"]["AP"] == -1
    gt["annotations"] = []
    assert set(evaluate(gt, found).values()) == {-1.0}


def test_polygons_in_the_annotations() -> None:
    gt = annotations([[box(20, 30, 2, 3, 4, 5)] * 2])
    gt["annotations"][0]["segmentations"] = [[[3, 2, 8, 2, 8, 6, 3, 6]], []]
    assert evaluate(gt, results([[box(20, 30, 2, 3, 4, 5), None]]))["AP"] == pytest.approx(1)


def test_classes_by_name_and_supercategory() -> None:
    mask = box(20, 30, 2, 3, 4, 5)
    gt = annotations([[mask]])
    gt["categories"] = [
        {"id": 1, "name": "cat", "supercategory": "animal"},
        {"id": 7, "name": "dog", "supercategory": "animal"},
        {"id": 9, "name": "person", "supercategory": "person"},
        {"id": 12, "name": "chair", "supercategory": "furniture"},
    ]
    result = results([[mask]])[0]
    # A dog found on a cat is an animal; on its own id it is the wrong category.
    assert evaluate(gt, [result | {"category_id": 7}])["AP"] == 0
    evaluation = evaluate(gt, [result | {"category_id": 7}], classes=["person", "animal", "vehicle"])
    assert evaluation.classes == ("person", "animal")
    assert evaluation.category_ids == (9, 13)
    assert evaluation["AP"] == pytest.approx(1)
    assert evaluate(gt, [result | {"category_id": 13}], classes=["person", "animal"])["AP"] == pytest.approx(
        1
    )
    both = evaluate(gt, [result], classes=["cat", "animal"])
    assert both.per_class["cat"]["AP"] == pytest.approx(1)
    assert both.objects == (1, 0)
    with pytest.raises(DataError, match="none of the classes boat"):
        evaluate(gt, [result], classes=["boat"])


def broken(**changes: Any) -> list[dict]:
    return [results([[box(20, 30, 2, 3, 4, 5)] * 2])[0] | changes]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"a": 1}, "expected a list, got dict"),
        ([3], "result 0: expected an object"),
        (broken(video_id=4), "result 0: video_id 4 is not in the annotations"),
        (broken(score=float("nan")), "result 0: expected a finite number as score"),
        (broken(segmentations=[None]), "result 0: expected 2 masks, one per frame of the video, got 1"),
        (broken(segmentations=[None, rle(np.ones((20, 29), bool))]), "result 0: frame 1: expected a mask of"),
        (broken(segmentations=None), "result 0: expected a list under 'segmentations'"),
    ],
)
def test_results_that_are_wrong(found: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluate(annotations([[box(20, 30, 2, 3, 4, 5)] * 2]), found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"videos": None}, "expected a list under 'videos'"),
        ({"categories": []}, "at least one category"),
        ({"annotations": [{"video_id": 1}]}, "annotation #0: expected an integer category_id, got nothing"),
        ({"videos": [{"id": 1}, {"id": 1}]}, "id 1 occurs twice in 'videos'"),
    ],
)
def test_annotations_that_are_wrong(change: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluate(annotations([[box(20, 30, 2, 3, 4, 5)]]) | change, [])


def test_files_that_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"videos": [')
    with pytest.raises(DataError, match=r"half.json: not valid JSON \(truncated\?\)"):
        evaluate(tmp_path / "half.json", [])
    with pytest.raises(DataError, match=r"none.json: can't be read"):
        evaluate(tmp_path / "none.json", [])
