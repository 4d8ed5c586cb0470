"""What is chosen for a set, how its images are prepared, and which thresholds are stored."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from PIL import Image  # noqa: E402

from mobileinst.datasets import Item, Picture, read_dataset  # noqa: E402
from mobileinst.evaluation import coco  # noqa: E402
from tests.support.annotated_sets import save_picture, shapes_of, write_png_masks  # noqa: E402
from tests.support.eval_data import box, rle  # noqa: E402
from weights_tools.own_objects.finish import threshold  # noqa: E402
from weights_tools.own_objects.plan import choose, flips, longest_side  # noqa: E402
from weights_tools.own_objects.prepare import measurable, prepare, typical_extents, write_coco  # noqa: E402
from weights_tools.own_objects.progress import TrainingProgress  # noqa: E402
from weights_tools.training.source import CocoSource  # noqa: E402

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_more_images_train_longer_and_small_objects_larger():
    few, many = choose(np.full(60, 0.4), 60), choose(np.full(900, 0.4), 500)
    assert (few.size, few.minutes) == (384, 10)
    assert (many.size, many.minutes) == (384, 30)
    assert few.images < many.images
    assert choose(np.full(60, 0.05), 60).size == 512
    assert choose(np.full(60, 0.01), 60).size == 640


def test_classes_of_left_and_right_are_not_mirrored():
    assert flips(("ball", "bright thing"))
    assert not flips(("left_mirror", "hood"))


def test_extents_are_shares_of_the_shorter_side(tmp_path):
    found = read_dataset(write_png_masks(tmp_path / "set", 1))
    wanted = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (shape.box for shape in shapes_of(0))]
    assert sorted(typical_extents(found)) == pytest.approx(sorted(np.sqrt(wanted) / 72))


def test_large_images_are_shrunk_with_their_masks(tmp_path):
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[100:300, 200:500] = 255
    path = tmp_path / "large.png"
    Image.fromarray(pixels).save(path)
    mask = pixels[..., 0] > 0
    polygon = [200.0, 100.0, 500.0, 100.0, 500.0, 300.0, 200.0, 300.0]
    items = (
        Item(0, [polygon], (200, 100, 300, 200)),
        Item(0, rle(mask), (200, 100, 300, 200)),
        Item(0, None, (200, 100, 300, 200)),
    )
    made = prepare(Picture(path, (400, 600), items), tmp_path / "small", 300)
    assert made.size == (200, 300)
    assert made.file == (tmp_path / "small.jpg").resolve()
    write_coco(tmp_path / "a.json", ["thing"], [made], "test")
    source = CocoSource(tmp_path / "a.json", Path("/"), ["thing"])
    assert source.image(0).shape == (200, 300, 3)
    found = source.instances(0)
    assert [item.exact for item in found] == [True, True, False]
    for item in found:
        inner = item.mask[1:-1, 1:-1]
        assert (item.x + 1, item.y + 1, *inner.shape[::-1]) == (100, 50, 150, 100)
        assert bool((inner == 255).all())
    areas = [a["area"] for a in json.loads((tmp_path / "a.json").read_text())["annotations"]]
    assert areas == [15000.0, 15000.0, 15000.0]


def test_boxes_are_measured_as_regions_beside_masks_and_as_masks_without(tmp_path):
    path = save_picture(tmp_path / "0.jpg", 0)
    box, mask = Item(0, None, (5, 6, 20, 10)), Item(0, [[40.0, 5, 60, 5, 60, 25, 40, 25]], (40, 5, 20, 20))
    both, alone = (
        prepare(Picture(path, (72, 96), items), tmp_path / "x", 384) for items in ((box, mask), (box,))
    )
    (made,), known = measurable([both])
    assert known
    assert [a["iscrowd"] for a in made.annotations] == [1, 0]
    (made,), known = measurable([alone])
    assert not known
    assert made.annotations[0]["iscrowd"] == 0
    write_coco(tmp_path / "a.json", ["thing"], [made], "test")
    (found,) = CocoSource(tmp_path / "a.json", Path("/"), ["thing"]).instances(0)
    assert (found.x + 1, found.y + 1, int((found.mask > 0).sum())) == (5, 6, 200)


def test_small_jpegs_stay_where_they_are_and_turned_ones_are_written_upright(tmp_path):
    path = save_picture(tmp_path / "0.jpg", 0)
    made = prepare(Picture(path, (72, 96), ()), tmp_path / "copy", longest_side(384))
    assert made.file == path.resolve()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / "turned.jpg"
    Image.open(path).rotate(90, expand=True).save(turned, exif=exif)
    made = prepare(Picture(turned, (72, 96), ()), tmp_path / "upright", longest_side(384))
    assert made.file == (tmp_path / "upright.jpg").resolve()
    with Image.open(made.file) as image, Image.open(path) as wanted:
        assert image.size == (96, 72)
        assert np.abs(np.asarray(image, int) - np.asarray(wanted, int)).mean() < 12


def test_the_threshold_is_the_lowest_of_the_best_f1():
    masks = [box(20, 30, 2, 2, 8, 8), box(20, 30, 2, 16, 8, 8)]
    truth = {
        "images": [{"id": 1, "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "ball"}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": rle(m)}
            for i, m in enumerate(masks)
        ],
    }
    wrong = box(20, 30, 14, 2, 4, 4)
    results = [
        {"image_id": 1, "category_id": 1, "score": score, "segmentation": rle(m)}
        for m, score in [(masks[0], 0.9), (masks[1], 0.4), (wrong, 0.2)]
    ]
    assert threshold(coco.evaluate(truth, results), "ball") == pytest.approx(0.4)
    assert threshold(coco.evaluate(truth, results[2:]), "ball") == 0.25


def test_progress_says_measurements_and_what_is_left(monkeypatch):
    said: list[str] = []
    progress = TrainingProgress(None, said.append)
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    step = {"images": 160, "progress": 0.1, "loss": 3.0, "iou": 0.5, "speed": 8.0}
    progress(step)
    now = 1060.0
    progress({**step, "progress": 0.4})
    progress({"images": 640, "progress": 0.4, "val": {"AP": 31.25, "AP50": 62.5}})
    progress({"images": 640, "progress": 0.5, "val": {"AP": 30.0, "AP50": 60.0}})
    assert said == [
        " 40 %  640 images: AP 31.2, AP50 62.5 (best), about 2 min left",
        " 50 %  640 images: AP 30.0, AP50 60.0, about 75 s left",
    ]
    quiet: list[str] = []
    TrainingProgress(None, quiet.append, quiet=True)(
        {"images": 1, "progress": 0.4, "val": {"AP": 1, "AP50": 1}}
    )
    assert quiet == []
