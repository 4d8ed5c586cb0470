"""Splitting by a seed, images that look alike, and what is said of the parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason='needs Pillow (pip install "mobileinst[image]")')

from mobileinst.datasets import Dataset, DatasetError, Item, Picture  # noqa: E402
from mobileinst.datasets.duplicates import alike, groups, picture_hash  # noqa: E402
from mobileinst.datasets.images import find_image, part_of  # noqa: E402
from mobileinst.datasets.parts import split  # noqa: E402

#: 64-bit numbers far from each other.
FAR = [int(v) for v in np.random.default_rng(0).integers(0, 1 << 63, 100)]


def dataset(parts, labels=None) -> Dataset:
    labels = labels or [0] * len(parts)
    pictures = tuple(
        Picture(Path(f"{i}.png"), (10, 10), (Item(label, None, (0, 0, 5, 5)),), part)
        for i, (part, label) in enumerate(zip(parts, labels, strict=True))
    )
    return Dataset("made", ("a", "b"), pictures)


def test_a_fifth_is_drawn_by_the_seed():
    made = dataset([None] * 20)
    train, val, _ = split(made, FAR[:20], 1)
    assert sorted(train + val) == list(range(20))
    assert len(val) == 4
    assert split(made, FAR[:20], 1)[:2] == (train, val)
    assert split(made, FAR[:20], 2)[:2] != (train, val)


def test_images_that_look_alike_stay_together():
    hashes = [FAR[i // 5] ^ (i % 2) for i in range(40)]
    for seed in range(5):
        _, val, _ = split(dataset([None] * 40), hashes, seed)
        assert all(set(range(i // 5 * 5, i // 5 * 5 + 5)) <= set(val) for i in val)


def test_images_that_are_all_alike_are_split_nevertheless():
    train, val, _ = split(dataset([None] * 10), [7] * 10, 0)
    assert len(val) == 2
    assert len(train) == 8


def test_given_parts_are_taken_and_test_stands_in_for_val():
    train, val, _ = split(dataset(["train", "val", "test", "train"]), FAR[:4], 0)
    assert (train, val) == ([0, 3], [1])
    train, val, _ = split(dataset(["train", "test", "train"]), FAR[:3], 0)
    assert (train, val) == ([0, 2], [1])


def test_duplicates_between_parts_are_said():
    found = split(dataset(["train", "train", "val"]), [FAR[0], FAR[1], FAR[1] ^ 1], 0)[2]
    assert [str(p) for p in found if "looks like" in p.message] == [
        "warning: 2.png: looks like 1.png, which is trained on: AP will be too good"
    ]


def test_classes_that_a_part_lacks_are_said():
    found = split(dataset(["train", "val", "val"], [0, 0, 1]), FAR[:3], 0)[2]
    assert [str(p) for p in found] == ["warning: train: no object of 'b': it is not learned"]


def test_one_image_is_too_few():
    with pytest.raises(DatasetError, match="expected 2 or more images"):
        split(dataset([None]), [1], 0)


def test_hashes_of_smaller_and_brighter_copies_are_near_and_others_far():
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 200, (6, 8, 3)).astype(np.uint8))
    image = rough.resize((160, 120), Image.Resampling.BICUBIC)
    copies = [image.resize((80, 60)), image.point(lambda v: v + 20)]
    other = Image.fromarray(rng.integers(0, 200, (6, 8, 3)).astype(np.uint8)).resize((160, 120))
    hashes = [picture_hash(image), picture_hash(other)]
    assert alike(hashes, [picture_hash(c) for c in copies]) == [(0, 0), (0, 1)]
    assert alike(hashes[:1], hashes[1:]) == []


def test_chains_of_alike_images_are_one_group():
    assert groups([0, 0b111, 0b111111, FAR[0]]) == [[0, 1, 2], [3]]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("instances_train.json", "train"),
        ("valid", "val"),
        ("trainset", "train"),
        ("test2017", "test"),
        ("constraints.json", None),
        ("trains", None),
    ],
)
def test_names_of_parts(name, part):
    assert part_of(name) == part


def test_images_are_found_by_the_end_of_their_names(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    assert find_image("C:\\work\\images\\a.png", [tmp_path]) == tmp_path / "images" / "a.png"
    assert find_image("/data/upload/a.png", [tmp_path, tmp_path / "images"]) is not None
    assert find_image("b.png", [tmp_path]) is None
