"""Training data: classes and labels as annotated, targets that fit their pixels, repeatable samples."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("PIL")

from tests.support import ROOT  # noqa: E402
from tests.support.training_sets import BACKGROUND, CATEGORIES, CLASSES, COLORS, write_set, write_videos  # noqa: E402
from weights_tools.training.augment import AugmentConfig, Frame, augment, draw_image, place  # noqa: E402
from weights_tools.training.config import load_config, parse_config  # noqa: E402
from weights_tools.training.data import DataConfig, TrainingSet  # noqa: E402
from weights_tools.training.source import (  # noqa: E402
    CachedSource,
    CocoSource,
    Instance,
    class_indices,
    open_source,
)
from weights_tools.training.temporal import ClipSet, TemporalConfig, VideoSource  # noqa: E402

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLAIN = AugmentConfig(color_jitter=0.0, paste=0.0)


def test_classes_come_from_names_or_supercategories():
    assert class_indices(CATEGORIES, CLASSES) == {1: 0, 3: 1, 17: 2, 1001: 2, 1012: 1}
    assert class_indices(CATEGORIES, ("cat", "animal")) == {17: 0, 1001: 1}
    with pytest.raises(ValueError, match="furniture"):
        class_indices(CATEGORIES, ("person", "furniture"))


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (2 * 80 * 96 * 3 + 5, 2), (1 << 40, 6)])
def test_a_cache_ends_at_its_limit(tmp_path, limit, count):
    paths = write_set(tmp_path)
    plain = CocoSource(*paths, CLASSES)
    cached = open_source(*paths, CLASSES, tmp_path / "cache", limit=limit)
    (folder,) = (tmp_path / "cache").iterdir()
    assert (folder / "images.bin").stat().st_size == count * 80 * 96 * 3
    assert cached.infos == plain.infos
    for index in range(6):
        np.testing.assert_array_equal(cached.image(index), plain.image(index))
        assert cached.donors(index) == plain.donors(index)
        assert len(cached.instances(index)) == len(plain.instances(index))


def test_labelled_classes_and_weights_are_respected(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    assert source.infos[0].labelled == (True, True, True)
    assert source.infos[1].labelled == (False, False, True)
    data = TrainingSet(source, DataConfig(negative={"a": 0.4}), seed=0)
    np.testing.assert_allclose(data.negative(0), [0.4, 0.4, 0.4])
    np.testing.assert_allclose(data.negative(1), [0.0, 0.0, 0.4])


def test_packed_images_equal_the_files(tmp_path):
    paths = write_set(tmp_path)
    plain = CocoSource(*paths, CLASSES)
    packed = open_source(*paths, CLASSES, tmp_path / "cache")
    assert isinstance(packed, CachedSource)
    assert packed.infos == plain.infos
    for index in range(len(plain.infos)):
        np.testing.assert_array_equal(packed.image(index), plain.image(index))
        for ours, theirs in zip(packed.instances(index), plain.instances(index), strict=True):
            np.testing.assert_array_equal(ours.mask, theirs.mask)
            assert (ours.x, ours.y, ours.label) == (theirs.x, theirs.y, theirs.label)
    again = open_source(*paths, CLASSES, tmp_path / "cache")
    assert again.infos == plain.infos
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_all_forms_of_segmentations_mean_the_same(tmp_path):
    from pycocotools import mask as coco_mask

    path, images = write_set(tmp_path)
    data = json.loads(path.read_text())
    polygon = CocoSource(path, images, CLASSES).instances(0)
    for annotation in data["annotations"]:
        rle = coco_mask.frPyObjects(annotation["segmentation"], 80, 96)
        merged = coco_mask.merge(rle)
        if annotation["id"] % 2:
            annotation["segmentation"] = {"size": [80, 96], "counts": merged["counts"].decode()}
        else:
            flat = coco_mask.decode(merged).flatten(order="F")
            edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
            counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
            annotation["segmentation"] = {"size": [80, 96], "counts": counts}
    path.write_text(json.dumps(data))
    for ours, theirs in zip(CocoSource(path, images, CLASSES).instances(0), polygon, strict=True):
        np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_crowds_become_ignored_regions(tmp_path):
    path, images = write_set(tmp_path)
    data = json.loads(path.read_text())
    data["annotations"][0]["iscrowd"] = 1
    path.write_text(json.dumps(data))
    source = CocoSource(path, images, CLASSES)
    instances = source.instances(0)
    assert [item.label for item in instances] == [-1, 1]
    frame = Frame(source.image(0), instances, [0, 1])
    one = AugmentConfig(scale=(1.0, 1.0), flip=0.0, color_jitter=0.0, paste=0.0)
    (sample,) = augment([frame], np.ones(3, np.float32), 96, np.random.default_rng(0), one)
    assert sample.labels.tolist() == [1]
    assert sample.ignore.max() == 1.0
    assert 0.8 < sample.ignore.sum() * 16 / (34 * 48) < 1.2


def painted(sample):
    """Share of each cell painted in the color of each class."""
    cells = sample.image.reshape(sample.ignore.shape[0], 4, -1, 4, 3).astype(int)
    shares = []
    for color in COLORS.values():
        near = np.abs(cells - np.array(color)).max(-1) < 60
        shares.append(near.mean((1, 3)))
    return np.stack(shares)


def from_painted(sample):
    """How far the masks of each class are from the pixels of its color, where nothing is to be ignored."""
    found = np.zeros((3, 32, 32))
    for mask, label in zip(sample.masks, sample.labels, strict=True):
        found[label] = np.maximum(found[label], mask)
    difference = np.abs(found - painted(sample))
    difference[:, sample.ignore > 0] = 0
    return difference


@pytest.mark.parametrize("number", range(12))
def test_masks_lie_on_their_pixels(tmp_path, number):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    config = DataConfig(augment=AugmentConfig(color_jitter=0.0, paste=1.0 if number % 2 else 0.0))
    sample = TrainingSet(source, config, seed=3).sample(number, 128)
    difference = from_painted(sample)
    assert np.percentile(difference, 95) < 0.3
    assert difference.mean() < 0.04
    if number % 2 == 0:
        assert len(sample.labels) >= 1


def test_objects_hidden_by_pasted_ones_lose_those_cells(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    data = TrainingSet(source, DataConfig(augment=AugmentConfig(paste=1.0, neighbour=1.0)), seed=1)
    for number in range(20):
        sample = data.sample(number, 96)
        assert sample.masks.sum(0).max(initial=0.0) <= 1.01


def test_samples_depend_on_number_and_seed_only(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    first, second = (TrainingSet(source, DataConfig(), seed=5) for _ in range(2))
    second.sample(40, 64)
    for number in (0, 7, 13):
        a, b = first.sample(number, 64), second.sample(number, 64)
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.masks, b.masks)
    other = TrainingSet(source, DataConfig(), seed=6).sample(7, 64)
    assert not np.array_equal(other.image, first.sample(7, 64).image)


def test_repeated_sets_come_more_often(tmp_path):
    path, images = write_set(tmp_path)
    data = json.loads(path.read_text())
    data["images"][0]["set"] = "b"
    path.write_text(json.dumps(data))
    stream = TrainingSet(CocoSource(path, images, CLASSES), DataConfig(repeat={"b": 3.0}), seed=0)
    indices = [stream.index(number) for number in range(8 * 10)]
    assert indices.count(0) == 30
    assert all(indices.count(i) == 10 for i in range(1, 6))


def test_image_lands_where_the_placement_says():
    pixels = np.full((40, 60, 3), BACKGROUND, np.uint8)
    pixels[10:20, 30:50] = 255
    for antialias in (False, True):
        for seed in range(6):
            placement = place(60, 40, 96, np.random.default_rng(seed), PLAIN)
            drawn = draw_image(pixels, placement, 96, antialias)
            rows, columns = np.nonzero((drawn > 200).all(-1))
            if not len(rows):
                continue
            left = max(30 * placement.scale_x + placement.shift_x, 0)
            right = min(50 * placement.scale_x + placement.shift_x, 96)
            assert abs(columns.min() - left) <= 1.5
            assert abs(columns.max() + 1 - right) <= 1.5


def test_clips_keep_identities_and_absences(tmp_path):
    stills = TrainingSet(CocoSource(*write_set(tmp_path / "s"), CLASSES), DataConfig(augment=PLAIN), 0)
    videos = VideoSource(*write_videos(tmp_path / "v"), CLASSES)
    assert videos.negative(0).tolist() == [1.0, 1.0, 1.0]
    clips = ClipSet(stills, videos, TemporalConfig(stills=0.0, gap=3))
    seen = set()
    for number in range(30):
        first, second = clips.clip(number, 96)
        for sample in (first, second):
            for identity, label in zip(sample.ids, sample.labels, strict=True):
                assert label == {1: 0, 2: 1}[identity]
        seen.add((2 in first.ids, 2 in second.ids))
    assert len(seen) == 4
    batch = clips.batch(range(3), 64)
    assert batch.clips == 3
    assert len(batch.images) == 6


def test_stills_set_in_motion_stay_aligned(tmp_path):
    stills = TrainingSet(
        CocoSource(*write_set(tmp_path), CLASSES),
        DataConfig(augment=AugmentConfig(color_jitter=0.0, paste=1.0)),
        0,
    )
    clips = ClipSet(stills, None, TemporalConfig(share=1.0))
    moved = 0
    for number in range(8):
        first, second = clips.clip(number, 128)
        moved += not np.array_equal(first.image, second.image)
        common = set(first.ids.tolist()) & set(second.ids.tolist())
        for identity in common:
            assert first.labels[first.ids == identity] == second.labels[second.ids == identity]
        for sample in (first, second):
            difference = from_painted(sample)
            assert difference.mean() < 0.04
    assert moved == 8


def test_video_labels_follow_the_file(tmp_path):
    path, frames = write_videos(tmp_path)
    data = json.loads(path.read_text())
    for value, expected in ((True, [1.0, 1.0, 0.0]), (False, [0.0, 0.0, 0.0])):
        data["videos"][0]["all_instances_labelled"] = value
        path.write_text(json.dumps(data))
        assert VideoSource(path, frames, CLASSES).negative(0).tolist() == expected


def test_instances_outside_the_crop_are_left_out():
    pixels = np.full((64, 64, 3), BACKGROUND, np.uint8)
    mask = np.full((6, 6), 255, np.uint8)
    frame = Frame(pixels, [Instance(mask, 0, 0, 0), Instance(mask[:3, :3], 60, 60, 1)], [0, 1])
    config = AugmentConfig(scale=(4.0, 4.0), flip=0.0, paste=0.0)
    counts = set()
    for seed in range(30):
        (sample,) = augment([frame], np.ones(3, np.float32), 64, np.random.default_rng(seed), config)
        counts.add(len(sample.labels))
        assert all(mask.sum() >= 1.0 for mask in sample.masks)
    assert counts >= {0, 1}


@pytest.mark.parametrize("path", sorted(ROOT.glob("weights_tools/training/configs/*.toml")))
def test_shipped_configurations_are_valid(path):
    config = load_config(path)
    assert config.model.classes == len(config.classes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches": 3}, "unknown keys"),
        ({"classes": ["person"]}, "classes are named"),
        ({"phases": [{"until": 0.5, "sizes": [64]}]}, "until = 1.0"),
        ({"phases": [{"until": 1.0, "sizes": [50]}]}, "multiples of 32"),
        ({"data": {"augment": {"mist": 1}}}, "unknown keys"),
        ({"augment": "device", "data": {"augment": {"blur": 0.1}}}, "takes no blur"),
        ({"batch": 3, "temporal": {"share": 0.5}}, "even"),
        ({"temporal": {"assignment": "other"}}, "carried or literal"),
        ({"optimiser": {"momentum": 0.9}}, "unknown keys"),
    ],
)
def test_bad_configurations_are_refused(tmp_path, change, message):
    from tests.support.training_sets import settings

    with pytest.raises(ValueError, match=message):
        parse_config(settings(*write_set(tmp_path), **change))


def test_missing_tables_and_variables_are_named(tmp_path, monkeypatch):
    from tests.support.training_sets import settings
    from weights_tools.training.config import expand

    values = settings(*write_set(tmp_path))
    del values["train"]
    with pytest.raises(ValueError, match="train"):
        parse_config(values)
    monkeypatch.delenv("MOBILEINST_NOWHERE", raising=False)
    with pytest.raises(ValueError, match="MOBILEINST_NOWHERE"):
        expand("${MOBILEINST_NOWHERE}/x")
