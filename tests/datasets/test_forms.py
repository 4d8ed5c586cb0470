"""Every form that is read: the same objects come out, and what `segment --label-out` writes comes back."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason='needs Pillow (pip install "mobileinst[image]")')

from mobileinst.datasets import Dataset, DatasetError, Item, read_dataset  # noqa: E402
from mobileinst.evaluation.run_lengths import frame_runs  # noqa: E402
from mobileinst.export.annotations import ANNOTATION_FORMATS  # noqa: E402
from mobileinst.results import Instances, encode  # noqa: E402
from tests.support.annotated_sets import (  # noqa: E402
    CLASSES,
    SIZE,
    WRITERS,
    picture,
    save_picture,
    shapes_of,
    write_coco,
    write_labelme,
    write_png_masks,
    write_via,
    write_yolo,
)


def mask_of(item: Item) -> np.ndarray:
    """Dense mask of an item of the small sets."""
    runs = frame_runs(item.segmentation, *SIZE)
    line = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return line.reshape(SIZE[1], SIZE[0]).T


def read(form: str, path: Path) -> Dataset:
    if form == "YOLO":
        pytest.importorskip("yaml", reason='needs PyYAML (pip install "mobileinst[train]")')
    return read_dataset(path)


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_form_is_recognised_and_read_with_the_right_masks(form, tmp_path):
    found = read(form, WRITERS[form](tmp_path / "set"))
    assert found.form == form
    assert sorted(found.classes) == sorted(CLASSES)
    assert len(found.pictures) == 6
    assert found.warnings == ()
    for shown in found.pictures:
        wanted = shapes_of(int(shown.path.stem))
        assert shown.size == SIZE
        wanted = sorted(wanted, key=lambda s: s.label) if form == "PNG masks" else wanted  # in order of ids
        assert [found.classes[i.label] for i in shown.items] == [CLASSES[s.label] for s in wanted]
        for item, shape in zip(shown.items, wanted, strict=True):
            np.testing.assert_array_equal(mask_of(item), shape.mask())
            x0, y0, x1, y1 = shape.box
            assert item.box == pytest.approx((x0, y0, x1 - x0, y1 - y0), abs=1e-3)


@pytest.mark.parametrize("form", ["YOLO", "VIA"])
def test_parts_are_those_of_the_set(form, tmp_path):
    found = read(form, WRITERS[form](tmp_path / "set"))
    for shown in found.pictures:
        assert shown.part == ("val" if int(shown.path.stem) % 3 == 2 else "train")


def test_coco_files_of_parts_beside_their_images_as_roboflow_exports(tmp_path):
    for part, start in (("train", 0), ("valid", 4)):
        write_coco(tmp_path / "made" / part, 4 if start == 0 else 2, start)
        made = tmp_path / "made" / part
        shutil.move(made / "images", tmp_path / "set" / part)
        shutil.move(
            made / "annotations" / "instances_default.json",
            tmp_path / "set" / part / "_annotations.coco.json",
        )
    found = read_dataset(tmp_path / "set")
    assert [p.part for p in found.pictures] == ["train"] * 4 + ["val"] * 2


def test_coco_beside_keypoints_and_copies(tmp_path):
    folder = write_coco(tmp_path / "set", 3)
    file = folder / "annotations" / "instances_default.json"
    shutil.copy(file, file.with_name("person_keypoints_default.json"))
    found = read_dataset(folder)
    assert (len(found.pictures), found.warnings) == (3, ())
    shutil.copy(file, file.with_name("instances_old.json"))
    found = read_dataset(folder)
    assert len(found.pictures) == 3
    assert ["annotated twice" in str(w) for w in found.warnings] == [True] * 3


def test_coco_run_lengths_and_boxes(tmp_path):
    folder = write_coco(tmp_path / "set", 2)
    file = folder / "annotations" / "instances_default.json"
    data = json.loads(file.read_text())
    mask = shapes_of(0)[0].mask()
    runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=False)), prepend=0)
    counts = [*runs.tolist(), mask.size - int(runs.sum())]
    data["annotations"][0]["segmentation"] = {"size": list(SIZE), "counts": counts}
    data["annotations"][1]["segmentation"] = []
    file.write_text(json.dumps(data))
    first, second = read_dataset(file).pictures[0].items
    np.testing.assert_array_equal(mask_of(first), mask)
    x0, y0, x1, y1 = shapes_of(0)[0].box
    assert first.box == (x0, y0, x1 - x0, y1 - y0)
    assert second.segmentation is None
    x0, y0, x1, y1 = shapes_of(0)[1].box
    assert second.box == (x0, y0, x1 - x0, y1 - y0)


def test_label_studio_yolo_without_yaml(tmp_path):
    made = write_yolo(tmp_path / "made", 3)
    folder = tmp_path / "set"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for file in sorted((made / kind).rglob("*.*")):
            shutil.move(file, folder / kind / file.name)
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    found = read_dataset(folder)
    assert found.form == "YOLO"
    np.testing.assert_array_equal(mask_of(found.pictures[2].items[0]), shapes_of(2)[0].mask())


def test_yolo_lists_of_images_and_boxes(tmp_path):
    pytest.importorskip("yaml")
    folder = write_yolo(tmp_path / "set", 3)
    (folder / "data.yaml").write_text("train: train.txt\nnames: {0: ball, 1: brick}\n")
    (folder / "train.txt").write_text("data/images/train/0.png\nimages/train/1.png\n")
    (folder / "labels/train/0.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    found = read_dataset(folder)
    assert [p.part for p in found.pictures] == [None, None]
    (item,) = found.pictures[0].items
    assert found.classes[item.label] == "brick"
    assert item.segmentation is None
    assert item.box == (36.0, 18.0, 24.0, 36.0)


def test_labelme_groups_masks_and_other_shapes(tmp_path):
    folder = tmp_path / "set"
    save_picture(folder / "0.png", 0)
    file = io.BytesIO()
    Image.fromarray(np.full((10, 12), 255, np.uint8)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    square = [[40, 10], [50, 10], [50, 20], [40, 20]]
    other = [[60, 10], [70, 10], [70, 20], [60, 20]]
    shapes = [
        {"label": "ball", "points": square, "group_id": 3, "shape_type": "polygon"},
        {"label": "ball", "points": other, "group_id": 3, "shape_type": "polygon"},
        {"label": "brick", "points": [[4, 6], [15, 15]], "mask": text, "shape_type": "mask"},
        {"label": "brick", "points": [[20, 40], [5, 30]], "shape_type": "rectangle"},
        {"label": "ball", "points": [[70, 50], [70, 60]], "shape_type": "circle"},
        {"label": "ball", "points": [[1, 1]], "shape_type": "point"},
        {"label": "_background_", "points": square, "shape_type": "polygon"},
        {"label": "__ignore__", "points": other, "shape_type": "polygon"},
    ]
    record = {"shapes": shapes, "imagePath": "..\\0.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    (folder / "0.json").write_text(json.dumps(record))
    found = read_dataset(folder)
    joined, masked, rectangle, circle, ignored = found.pictures[0].items
    assert mask_of(joined).sum() == 200
    wanted = np.zeros(SIZE, np.bool_)
    wanted[6:16, 4:16] = True
    np.testing.assert_array_equal(mask_of(masked), wanted)
    assert rectangle.box == (5, 30, 15, 10)
    assert mask_of(circle).sum() == pytest.approx(np.pi * 100, rel=0.05)
    assert ignored.crowd
    assert [w.where for w in found.warnings] == [f"{folder / '0.json'}: shapes[5]"]
    assert found.classes == ("ball", "brick")


def test_via_projects_and_other_shapes(tmp_path):
    folder = tmp_path / "set"
    save_picture(folder / "0.png", 0)
    attributes = {"name": {"ball": True, "brick": False}}
    shapes = [
        {"name": "rect", "x": 5, "y": 6, "width": 20, "height": 10},
        {"name": "ellipse", "cx": 60, "cy": 40, "rx": 12, "ry": 6, "theta": 0.0},
        {"name": "circle", "cx": 30, "cy": 50, "r": 8},
        {"name": "point", "cx": 1, "cy": 1},
    ]
    regions = {str(i): {"shape_attributes": s, "region_attributes": attributes} for i, s in enumerate(shapes)}
    entries = {"0.png1": {"filename": "0.png", "size": 1, "regions": regions}}
    (folder / "project.json").write_text(json.dumps({"_via_settings": {}, "_via_img_metadata": entries}))
    found = read_dataset(folder)
    assert found.classes == ("ball",)
    areas = [int(mask_of(item).sum()) for item in found.pictures[0].items]
    assert areas == pytest.approx([200, np.pi * 72, np.pi * 64], rel=0.06)
    assert len(found.warnings) == 1


def test_via_without_classes_is_of_one(tmp_path):
    folder = write_via(tmp_path / "set", 3)
    for file in folder.rglob("*.json"):
        data = json.loads(file.read_text())
        for entry in data.values():
            for region in entry["regions"]:
                region["region_attributes"] = {}
        file.write_text(json.dumps(data))
    assert read_dataset(folder).classes == ("object",)


def test_png_masks_of_one_value_are_split_into_connected_parts(tmp_path):
    pytest.importorskip("scipy")
    folder = write_png_masks(tmp_path / "set", 3)
    (folder / "classes.txt").write_text("thing\n")
    for file in (folder / "masks").iterdir():
        ids = np.asarray(Image.open(file))
        Image.fromarray(((ids > 0) * 255).astype(np.uint8)).save(file)
    found = read_dataset(folder)
    assert found.classes == ("thing",)
    assert [len(p.items) for p in found.pictures] == [2, 2, 1]
    assert len(found.warnings) == 1


def test_png_masks_of_colors_and_folders_of_masks(tmp_path):
    folder = write_png_masks(tmp_path / "set", 3)
    shapes = shapes_of(0)
    colors = np.zeros((*SIZE, 3), np.uint8)
    for i, shape in enumerate(shapes):
        colors[shape.mask()] = (7, 0, i + 1)  # ids above 65535
    Image.fromarray(colors).save(folder / "masks" / "0.png")
    (folder / "masks" / "1.png").unlink()
    (folder / "masks" / "1").mkdir()
    for i, shape in enumerate(shapes_of(1)):
        Image.fromarray(shape.mask()).save(folder / "masks" / "1" / f"{i}.png")
    found = read_dataset(folder)
    for number in (0, 1):
        items = found.pictures[number].items
        masks = {mask_of(item).tobytes() for item in items}
        assert masks == {shape.mask().tobytes() for shape in shapes_of(number)}


@pytest.mark.parametrize("form", sorted(ANNOTATION_FORMATS))
def test_what_label_out_writes_is_read_back(form, tmp_path):
    if form == "yolo":
        pytest.importorskip("yaml")
    folder = ANNOTATION_FORMATS[form](tmp_path / "set", ("cat", "ball", "brick"), tolerance=0.0)
    for number in range(3):
        shapes = shapes_of(number)
        runs = encode(np.stack([shape.mask() for shape in shapes]))
        labels = [1 + shape.label for shape in shapes]
        names = [CLASSES[shape.label] for shape in shapes]
        found = Instances(SIZE, runs, [0.5] * len(runs), labels, names)
        folder.add(picture(number), found, name=f"{number}")
    folder.complete()
    folder.finish()
    read_back = read_dataset(tmp_path / "set")
    assert sorted(read_back.classes) == sorted(CLASSES)
    assert [p.part for p in read_back.pictures] == [None] * 3
    for shown in read_back.pictures:
        wanted = shapes_of(int(shown.path.stem))
        assert [read_back.classes[i.label] for i in shown.items] == [CLASSES[s.label] for s in wanted]
        for item, shape in zip(shown.items, wanted, strict=True):
            np.testing.assert_array_equal(mask_of(item), shape.mask())


def test_an_image_turned_by_exif_has_its_upright_size(tmp_path):
    folder = write_labelme(tmp_path / "set", 1)
    pixels = np.rot90(picture(0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be upright
    Image.fromarray(pixels).save(folder / "0.jpg", exif=exif)
    data = json.loads((folder / "0.json").read_text())
    (folder / "0.json").write_text(json.dumps({**data, "imagePath": "0.jpg"}))
    assert read_dataset(folder).pictures[0].size == SIZE


def test_files_of_a_training_are_no_annotations(tmp_path):
    folder = write_labelme(tmp_path / "set", 2)
    write_coco(folder / "my.training", 1)
    assert read_dataset(folder).form == "labelme"


def test_a_folder_without_annotations_says_what_was_expected(tmp_path):
    save_picture(tmp_path / "set" / "0.png", 0)
    with pytest.raises(DatasetError, match=r"expected COCO JSON, .*it holds 1 images without annotations"):
        read_dataset(tmp_path / "set")
