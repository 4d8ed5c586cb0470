"""Folders of annotations: what other tools read there is what was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mobileinst.export.annotations import (
    ANNOTATION_FORMATS,
    AnnotationFolder,
    CocoFolder,
    LabelmeFolder,
    YoloFolder,
)
from mobileinst.io.png import write_png
from mobileinst.masks.polygons import contains
from mobileinst.results import Instances, encode

pytest.importorskip("PIL")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

CLASSES = ("person", "traffic: light")


def found() -> Instances:
    """A square with a hole, and an object in two parts."""
    masks = np.zeros((2, 40, 50), np.bool_)
    masks[0, 5:25, 5:25] = True
    masks[0, 10:15, 10:15] = False
    masks[1, 30:38, 2:12] = masks[1, 30:34, 20:30] = True
    return Instances((40, 50), encode(masks), [0.9, 0.5], [1, 0], ["traffic: light", "person"])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_png(path, np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    return path


def fill(corners: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[:40, :50] + 0.5
    return contains(corners, np.stack([columns, rows], -1))


def test_yolo(tmp_path: Path, photo: Path) -> None:
    folder = YoloFolder(tmp_path / "out", CLASSES)
    folder.add(photo, found())
    folder.add(photo, Instances.empty((40, 50)))
    folder.complete()
    folder.finish()
    out = tmp_path / "out"
    assert (out / "images" / "train" / "photo.png").read_bytes() == photo.read_bytes()
    assert (out / "images" / "train" / "photo-2.png").exists()
    assert (out / "labels" / "train" / "photo-2.txt").read_text() == ""
    lines = [line.split() for line in (out / "labels" / "train" / "photo.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["1", "0"]
    for line, mask in zip(lines, found().masks(), strict=True):
        corners = np.array(line[1:], np.float64).reshape(-1, 2)
        assert ((corners >= 0) & (corners <= 1)).all()
        np.testing.assert_array_equal(fill(corners * [50, 40]), mask)
    assert (out / "data.yaml").read_text() == (
        'train: images/train\nval: images/train\nnames:\n  0: "person"\n  1: "traffic: light"\n'
    )


def test_coco(tmp_path: Path, photo: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    folder = CocoFolder(tmp_path / "out", CLASSES)
    folder.add(photo, found())
    folder.add(np.zeros((40, 50, 3), np.uint8), found()[1], "frame-7")
    folder.complete()
    folder.finish()
    read = coco.COCO(str(tmp_path / "out" / "annotations" / "instances_default.json"))
    assert [image["file_name"] for image in read.loadImgs([1, 2])] == ["photo.png", "frame-7.png"]
    assert {c["id"]: c["name"] for c in read.loadCats([1, 2])} == {1: "person", 2: "traffic: light"}
    entries = read.loadAnns(read.getAnnIds(imgIds=1))
    for i, entry in enumerate(entries):
        np.testing.assert_array_equal(read.annToMask(entry), found().mask(i))
        assert entry["area"] == found().areas[i]
    assert entries[0]["bbox"] == [5, 5, 20, 20]
    assert (len(entries[1]["segmentation"]), entries[1]["category_id"], entries[1]["iscrowd"]) == (2, 1, 0)


def test_labelme(tmp_path: Path, photo: Path) -> None:
    folder = LabelmeFolder(tmp_path / "out", CLASSES)
    folder.add(photo, found())
    folder.complete()
    folder.finish()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo.json", "photo.png"]
    record = json.loads((tmp_path / "out" / "photo.json").read_text())
    assert (record["imagePath"], record["imageHeight"], record["imageWidth"]) == ("photo.png", 40, 50)
    assert [(s["label"], s["group_id"]) for s in record["shapes"]] == [
        ("traffic: light", None),
        ("person", 2),
        ("person", 2),
    ]
    np.testing.assert_array_equal(fill(np.array(record["shapes"][0]["points"])), found().mask(0))


@pytest.mark.parametrize("kind", ANNOTATION_FORMATS.values())
def test_corrected_annotations_are_never_replaced(
    kind: type[AnnotationFolder], tmp_path: Path, photo: Path
) -> None:
    folder = kind(tmp_path / "out", CLASSES)
    folder.add(photo, found())
    folder.complete()
    folder.finish()
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match="never replaced"):
        kind(tmp_path / "out", CLASSES).add(photo, found())
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("kind", ANNOTATION_FORMATS.values())
def test_discarded_folders_leave_nothing(kind: type[AnnotationFolder], tmp_path: Path, photo: Path) -> None:
    folder = kind(tmp_path / "deep" / "out", CLASSES)
    folder.add(photo, found())
    folder.discard()
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize("kind", ANNOTATION_FORMATS.values())
def test_the_longest_names(kind: type[AnnotationFolder], tmp_path: Path, photo: Path) -> None:
    long = photo.rename(photo.with_name("x" * 251 + ".png"))
    folder = kind(tmp_path / "out", CLASSES)
    places = [folder.add(long, found()) for _ in range(2)]
    folder.complete()
    folder.finish()
    assert len({place.stem for place in places}) == 2
    assert all(place.read_bytes() == long.read_bytes() for place in places)


def test_turned_photographs_are_stored_upright(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    exif = image.Exif()
    exif[0x0112] = 6
    image.new("RGB", (40, 50), (200, 30, 30)).save(tmp_path / "turned.jpg", exif=exif)
    folder = LabelmeFolder(tmp_path / "out", CLASSES)
    place = folder.add(tmp_path / "turned.jpg", found())
    with image.open(place) as stored:
        assert stored.size == (50, 40)
        assert stored.getexif().get(0x0112, 1) == 1


def test_masks_that_vanish_in_the_tolerance_are_kept(tmp_path: Path, photo: Path) -> None:
    mask = np.zeros((1, 40, 50), np.bool_)
    mask[0, 3, 4] = True
    folder = YoloFolder(tmp_path / "out", CLASSES, tolerance=3)
    folder.add(photo, Instances((40, 50), encode(mask), [0.9], [0], ["person"]))
    text = (tmp_path / "out" / "labels" / "train" / "photo.txt").read_text()
    assert text == "0 0.080000 0.075000 0.100000 0.075000 0.100000 0.100000 0.080000 0.100000\n"
