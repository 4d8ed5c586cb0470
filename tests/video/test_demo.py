"""The clip of the demo: photographs in motion, the same on every run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mobileinst.video import VideoError
from mobileinst.video.demo import FRAMES, SIZE, DemoSource

pytest.importorskip("skimage")


def test_the_clip_moves_and_repeats() -> None:
    source = DemoSource()
    frames = list(source)
    assert len(frames) == source.count == FRAMES
    assert {frame.image.shape for frame in frames} == {(*SIZE, 3)}
    assert [frame.time for frame in frames[:3]] == pytest.approx([0, 1 / 24, 2 / 24])
    same = [(a.image == b.image).all() for a, b in itertools.pairwise(frames[::6])]
    assert not any(same)
    np.testing.assert_array_equal(next(iter(source)).image, frames[0].image)


def test_photographs_of_a_folder(tmp_path: Path) -> None:
    data, image = pytest.importorskip("skimage.data"), pytest.importorskip("PIL.Image")
    with pytest.raises(VideoError, match=r"astronaut\.png does not exist"):
        DemoSource(tmp_path)
    for name in ("astronaut", "chelsea"):
        image.fromarray(getattr(data, name)()).save(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(next(iter(DemoSource(tmp_path))).image, next(iter(DemoSource())).image)
