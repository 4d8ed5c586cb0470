"""Result formats, read back by those who define them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from mobileinst.export import (
    FrameResult,
    JsonLinesSink,
    MotsSink,
    PngMaskSink,
    YoutubeVisSink,
    coco_results,
    frame_record,
    owner_map,
)
from mobileinst.io.files import Output
from mobileinst.io.png import encode_png, write_png
from mobileinst.results import Instances, encode

SIZE = (30, 40)


def rectangles(
    ids: list[int], *boxes: tuple[int, int, int, int], labels: list[int] | None = None
) -> Instances:
    masks = np.zeros((len(boxes), *SIZE), np.bool_)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    labels = labels or [0] * len(boxes)
    scores = [0.9 - 0.1 * i for i in range(len(boxes))]
    return Instances(SIZE, encode(masks), scores, labels, [("cat", "dog")[i] for i in labels], ids)


def test_frame_record_has_the_documented_fields() -> None:
    inst = rectangles([4, -1], (1, 2, 5, 9), (0, 0, 3, 3), labels=[1, 0])
    record = json.loads(json.dumps(frame_record(7, 0.25, inst)))
    instances = record.pop("instances")
    assert record == {"frame": 7, "time": 0.25, "width": 40, "height": 30}
    assert instances[0] == {
        "id": 4,
        "label": "dog",
        "score": 0.9,
        "box": [1, 2, 5, 9],
        "rle": inst.rle()[0],
    }
    assert instances[1]["id"] is None
    assert frame_record(0, 0, inst, "a.jpg")["file"] == "a.jpg"


def test_json_lines_appear_when_finished(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonLinesSink(path)
    sink.write(FrameResult(0, 0.0, rectangles([1], (1, 2, 5, 9))))
    sink.write(FrameResult(1, 0.1, Instances.empty(SIZE)))
    assert not path.exists()
    sink.finish()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [len(record["instances"]) for record in records] == [1, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_discarded_sinks_leave_nothing(tmp_path: Path) -> None:
    sinks = [
        JsonLinesSink(tmp_path / "a"),
        MotsSink(tmp_path / "b"),
        YoutubeVisSink(tmp_path / "c"),
        PngMaskSink(tmp_path / "d"),
    ]
    for sink in sinks:
        sink.write(FrameResult(0, 0.0, rectangles([1], (1, 2, 5, 9))))
        sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_coco_reads_the_results(tmp_path: Path) -> None:
    mask_module = pytest.importorskip("pycocotools.mask")
    inst = rectangles([1, 2], (1, 2, 5, 9), (0, 0, 3, 3), labels=[1, 0])
    entries = coco_results(inst, 12, [17, 18])
    assert [entry["category_id"] for entry in entries] == [18, 17]
    assert coco_results(inst, 12)[0]["category_id"] == 2
    for entry, mask in zip(entries, inst.masks(), strict=True):
        assert entry["image_id"] == 12
        np.testing.assert_array_equal(mask_module.decode(entry["segmentation"]), mask)
        assert mask_module.toBbox(entry["segmentation"]).tolist() == entry["bbox"]
    json.dumps(entries)


def test_youtube_vis_has_one_entry_a_track(tmp_path: Path) -> None:
    sink = YoutubeVisSink(tmp_path / "y.json", video_id=3, category_ids=[10, 20])
    frames = [
        rectangles([1], (0, 0, 4, 4)),
        Instances.empty(SIZE),
        rectangles([2, 1], (9, 9, 12, 12), (1, 0, 5, 4), labels=[1, 0]),
    ]
    for number, inst in enumerate(frames):
        sink.write(FrameResult(number, number / 10, inst))
    sink.finish()
    first, second = json.loads((tmp_path / "y.json").read_text())
    assert first["video_id"] == second["video_id"] == 3
    assert (first["category_id"], second["category_id"]) == (10, 20)
    assert first["score"] == pytest.approx((0.9 + 0.8) / 2)
    assert [s is not None for s in first["segmentations"]] == [True, False, True]
    assert [s is not None for s in second["segmentations"]] == [False, False, True]
    assert second["segmentations"][2] == frames[2].rle()[0]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_mots_masks_do_not_overlap(tmp_path: Path) -> None:
    mask_module = pytest.importorskip("pycocotools.mask")
    sink = MotsSink(tmp_path / "m.txt")
    sink.write(
        FrameResult(
            5, 0.0, rectangles([8, 9, 7], (0, 0, 10, 10), (5, 5, 15, 15), (6, 6, 9, 9), labels=[1, 0, 0])
        )
    )
    sink.finish()
    rows = [line.split(" ") for line in (tmp_path / "m.txt").read_text().splitlines()]
    assert [row[:5] for row in rows] == [["5", "8", "2", "30", "40"], ["5", "9", "1", "30", "40"]]
    decoded = [mask_module.decode({"size": SIZE, "counts": row[5].encode()}) for row in rows]
    assert decoded[0].sum() == 100
    assert decoded[1].sum() == 75
    assert (sum(decoded) <= 1).all()


def test_owner_map_prefers_the_better_score() -> None:
    inst = rectangles([1, 2], (0, 0, 10, 10), (5, 5, 15, 15))
    owners = owner_map(inst)
    assert owners[7, 7] == 1
    assert owners[12, 12] == 2
    assert owners[20, 20] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_grey_pngs_are_read_back_by_pillow(tmp_path: Path, dtype: type) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 256, (5, 7)).astype(dtype)
    image = image * 200 if dtype is np.uint16 else image
    write_png(tmp_path / "x.png", image)
    with image_module.open(tmp_path / "x.png") as read:
        expected = image * np.uint8(255) if dtype is np.bool_ else image
        np.testing.assert_array_equal(np.asarray(read), expected)


def test_color_pngs_are_read_back_by_pillow(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).integers(0, 256, (9, 4, 3), np.uint8)
    write_png(tmp_path / "x.png", image[::-1, ::-1])
    with image_module.open(tmp_path / "x.png") as read:
        np.testing.assert_array_equal(np.asarray(read), image[::-1, ::-1])


def test_wrong_images_are_refused() -> None:
    for image in (np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)):
        with pytest.raises(ValueError, match="expected an image"):
            encode_png(image)


def test_png_masks_hold_track_ids(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    sink = PngMaskSink(tmp_path / "masks")
    sink.write(FrameResult(3, 0.0, rectangles([700, 2], (0, 0, 10, 10), (5, 5, 15, 15))))
    sink.finish()
    with image_module.open(tmp_path / "masks" / "000003.png") as read:
        ids = np.asarray(read)
    assert (ids[0, 0], ids[12, 12], ids[20, 20]) == (700, 2, 0)


def test_an_output_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def half_written() -> None:
        with Output(path) as output:
            output.open().write("new")
            raise zlib.error

    with pytest.raises(zlib.error):
        half_written()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with Output(path) as output:
        output.open().write("new")
    assert path.read_text() == "new"
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        Output(tmp_path)
    with pytest.raises(FileNotFoundError, match="can't write"):
        Output(tmp_path / "no" / "x.txt")
