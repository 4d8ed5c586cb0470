"""Wrong annotations: the message names the file and the line or entry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason='needs Pillow (pip install "mobileinst[image]")')

from mobileinst.datasets import DatasetError, read_dataset  # noqa: E402
from tests.support.annotated_sets import (  # noqa: E402
    write_coco,
    write_labelme,
    write_png_masks,
    write_via,
    write_yolo,
)


def change(file: Path, work) -> Path:
    """Rewrite a JSON file by a function that changes its value."""
    data = json.loads(file.read_text())
    work(data)
    file.write_text(json.dumps(data))
    return file


def refused(path: Path, message: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_dataset(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.2 0.3 0.4 0.5", "expected x and y of 3 or more corners, got 5 numbers"),
        ("5 0.1 0.2 0.3 0.4 0.5 0.6", "class 5 is not among the 2 names"),
        ("0 12 30 40 50 60 70", "expected shares of the image's sides, 0 to 1, got 12"),
        ("ball 0.1 0.2 0.3", "expected a class and numbers, got 'ball 0.1 0.2 0.3'"),
        ("0 nan 0.2 0.3 0.4 0.5 0.6", "expected shares of the image's sides, 0 to 1, got nan"),
    ],
)
def test_yolo_lines(line, message, tmp_path):
    pytest.importorskip("yaml")
    folder = write_yolo(tmp_path / "set")
    file = folder / "labels" / "train" / "0.txt"
    file.write_text(f"{file.read_text()}{line}\n")
    refused(folder, f"{file}:3: {message}; --skip-bad leaves such out")
    assert len(read_dataset(folder, skip_bad=True).pictures[0].items) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [", ":1: not valid YAML"),
        ("train: images/train\n", ": expected 'names', the classes, got None"),
        ("train: nowhere\nnames: [a]\n", ": train: nowhere does not exist"),
        ("names: [a]\n", ": expected 'train', the folder of the images"),
        ("names: {1: a, 2: b}\ntrain: images/train\n", ": expected names numbered from 0, got ['1', '2']"),
        ("names: [a, a]\ntrain: images/train\n", ": a class is named twice: a, a"),
        ("- 3\n", ": expected 'train' and 'names', got list"),
    ],
)
def test_yolo_yaml(text, message, tmp_path):
    pytest.importorskip("yaml")
    folder = write_yolo(tmp_path / "set")
    (folder / "data.yaml").write_text(text)
    refused(folder, f"{folder / 'data.yaml'}{message}")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda d: d["annotations"][2].update(image_id=99), "annotations[2]: image_id 99 is not among"),
        (lambda d: d["annotations"][2].update(category_id=9), "annotations[2]: category_id 9 is not among"),
        (
            lambda d: d["annotations"][1].update(segmentation=[[1, 2, 3, 4]]),
            "annotations[1]: expected a polygon",
        ),
        (
            lambda d: d["annotations"][1].update(segmentation=[["a"] * 6]),
            "annotations[1].segmentation: expected",
        ),
        (
            lambda d: d["annotations"][1].pop("segmentation") and d["annotations"][1].pop("bbox"),
            "annotations[1]: ",
        ),
        (lambda d: d["images"][1].update(file_name="gone.png"), "images[1]: the image gone.png is missing"),
        (
            lambda d: d["images"][1].update(height=5),
            "images[1]: 1.png is 96x72 pixels, its annotations say 96x5",
        ),
        (lambda d: d["images"][1].update(id=0), "id 0 occurs twice in 'images'"),
    ],
)
def test_coco_entries(work, message, tmp_path):
    folder = write_coco(tmp_path / "set")
    file = change(folder / "annotations" / "instances_default.json", work)
    refused(folder, f"{file}: {message}")


def test_json_that_is_cut_off_names_the_line(tmp_path):
    folder = write_coco(tmp_path / "set")
    file = folder / "annotations" / "instances_default.json"
    file.write_text(file.read_text()[:-30])
    refused(folder, f"{file}: not valid JSON (truncated?)")
    with pytest.raises(DatasetError, match="line 1 column"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda d: d["shapes"][0].pop("label"), "shapes[0]: expected a shape with a label"),
        (lambda d: d["shapes"][0].update(points="x"), "shapes[0]: expected a list of points, got 'x'"),
        (lambda d: d["shapes"][0].update(points=[[1, None]]), "shapes[0]: expected points as [x, y]"),
        (lambda d: d["shapes"][0].update(points=[[1, 2], [3, 4]]), "shapes[0]: expected a polygon of 3"),
        (
            lambda d: d["shapes"][0].update(shape_type="mask", mask="?"),
            "shapes[0]: expected the mask as a PNG",
        ),
        (lambda d: d.update(imagePath="gone.png"), "the image gone.png is missing"),
        (lambda d: d.update(imageWidth=5), "0.png is 96x72 pixels, its annotations say 5x72"),
    ],
)
def test_labelme_shapes(work, message, tmp_path):
    folder = write_labelme(tmp_path / "set")
    file = change(folder / "0.json", work)
    refused(folder, f"{file}: {message}")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda r: r.pop("shape_attributes"), "expected shape_attributes, got nothing"),
        (lambda r: r["shape_attributes"].pop("all_points_y"), "expected all_points_x and all_points_y"),
        (lambda r: r["shape_attributes"].update(name="rect"), "expected numbers as x, y, width, height"),
        (lambda r: r.update(region_attributes={}), "expected a class as 'kind', got {}"),
    ],
)
def test_via_regions(work, message, tmp_path):
    folder = write_via(tmp_path / "set")
    file = folder / "train" / "via_region_data.json"
    change(file, lambda d: work(d["1.png1"]["regions"][1]))
    refused(folder, f"{file}: 1.png: regions[1]: {message}")


def test_png_masks_of_another_size(tmp_path):
    folder = write_png_masks(tmp_path / "set")
    file = folder / "masks" / "1.png"
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(file)
    refused(folder, f"{file}: is 12x10 pixels, its image 96x72")


def test_png_masks_of_an_unnamed_class(tmp_path):
    folder = write_png_masks(tmp_path / "set")
    (folder / "classes.txt").write_text("ball\n")
    refused(folder, f"{folder / 'masks' / '0.png'}: id 2001 is of class 2; classes.txt names 1")


def test_images_that_are_none(tmp_path):
    folder = write_labelme(tmp_path / "set")
    (folder / "3.png").write_bytes(b"no image")
    refused(folder, f"{folder / '3.png'}: can't be read as an image")
    assert len(read_dataset(folder, skip_bad=True).pictures) == 5


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "export.zip").write_bytes(b"PK")
    refused(tmp_path / "export.zip", "is an archive: unpack it first")
    refused(tmp_path / "nowhere", "does not exist")


def test_nothing_to_learn_from(tmp_path):
    folder = write_labelme(tmp_path / "set", 2)
    for file in folder.glob("*.json"):
        change(file, lambda d: d.update(shapes=[]))
    refused(folder, "no annotated object among 2 images (labelme)")


def test_how_many_more_is_said(tmp_path):
    folder = write_labelme(tmp_path / "set")
    for file in folder.glob("*.json"):
        change(file, lambda d: d["shapes"][0].pop("label"))
    refused(folder, "(and 5 more; --check lists them)")


def test_polygons_are_cut_at_the_edges_and_said(tmp_path):
    folder = write_labelme(tmp_path / "set", 1)
    points = [[-20, 5], [30, 5], [30, 30], [-20, 30]]
    change(folder / "0.json", lambda d: d["shapes"][0].update(points=points))
    found = read_dataset(folder)
    assert found.pictures[0].items[0].box == (0, 5, 30, 25)
    assert "passes the edges" in str(found.warnings[0])


def test_objects_of_no_area_are_left_out_and_said(tmp_path):
    folder = write_labelme(tmp_path / "set", 1)
    change(folder / "0.json", lambda d: d["shapes"][0].update(points=[[5, 5], [9, 9], [5, 5]]))
    found = read_dataset(folder)
    assert len(found.pictures[0].items) == 1
    assert "no area" in str(found.warnings[0])
