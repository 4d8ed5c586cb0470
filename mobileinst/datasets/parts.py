"""The parts of a set: as they are given, or split by a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..io.problems import Problem
from .duplicates import alike, groups
from .model import Dataset, DatasetError

#: Share of the images that become "val" where the set has no such part, and most images of it.
_SHARE, _MOST = 0.2, 200


def split(dataset: Dataset, hashes: Sequence[int], seed: int) -> tuple[list[int], list[int], list[Problem]]:
    """Indices of the pictures to train on and of those to measure on, and what is doubtful about them.

    A part "val" (or, without one, "test") is taken as given; otherwise a fifth is drawn by the seed, images
    that look alike together.

    Args:
        hashes: :func:`~.duplicates.picture_hash` of each picture.

    Raises:
        DatasetError: if there are too few images.
    """
    count = len(dataset.pictures)
    if count < 2:
        raise DatasetError(f"expected 2 or more images, to train and to measure on; got {count}")
    parts = [picture.part for picture in dataset.pictures]
    given = next((name for name in ("val", "test") if name in parts), None)
    if given is not None and any(part not in ("val", "test") for part in parts):
        val = [i for i in range(count) if parts[i] == given]
        train = [i for i in range(count) if parts[i] not in ("val", "test")]
        return train, val, _shared(dataset, hashes, train, val) + _missing(dataset, train, val)
    train, val = _drawn(hashes, seed)
    return train, val, _missing(dataset, train, val)


def _drawn(hashes: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    count = len(hashes)
    wanted = min(max(1, round(_SHARE * count)), _MOST)
    together = groups(hashes)
    if len(together) < 2:
        together = [[i] for i in range(count)]  # all alike: nothing to keep together
    val: list[int] = []
    for index in np.random.default_rng(seed).permutation(len(together)).tolist():
        group = together[index]
        if len(val) + len(group) <= max(wanted, 1) or (not val and len(group) < count):
            val += group
        if len(val) >= wanted:
            break
    chosen = set(val)
    return [i for i in range(count) if i not in chosen], sorted(val)


def _shared(dataset: Dataset, hashes: Sequence[int], train: list[int], val: list[int]) -> list[Problem]:
    """Warnings of images to measure on that are trained on, too."""
    pairs = alike([hashes[i] for i in train], [hashes[i] for i in val])
    found = [
        Problem(
            str(dataset.pictures[val[j]].path),
            f"looks like {dataset.pictures[train[i]].path}, which is trained on: AP will be too good",
            error=False,
        )
        for i, j in pairs
    ]
    if len(found) > 5:
        more = Problem("val", f"{len(found)} of {len(val)} images look like images of train", error=False)
        return [*found[:4], more]
    return found


def _missing(dataset: Dataset, train: list[int], val: list[int]) -> list[Problem]:
    """Warnings of classes that one part lacks."""
    found = []
    for name, part, said in (("train", train, "is not learned"), ("val", val, "can't be measured")):
        present = {item.label for i in part for item in dataset.pictures[i].items if not item.crowd}
        for label, title in enumerate(dataset.classes):
            if label not in present:
                found.append(Problem(name, f"no object of {title!r}: it {said}", error=False))
    return found
