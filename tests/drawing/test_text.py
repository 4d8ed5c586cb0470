"""Text in a font of Pillow's, or in ours without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from mobileinst.drawing import text
from mobileinst.drawing.text import text_coverage, text_height


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    text._font.cache_clear()
    text_coverage.cache_clear()
    yield
    text._font.cache_clear()
    text_coverage.cache_clear()


def test_text_grows_with_the_frame() -> None:
    assert text_height((240, 426)) == text_height((10, 10)) == 16
    assert text_height((2160, 3840)) == text_height((3840, 2160)) == 72


@pytest.mark.parametrize("height", [16, 20, 60])
def test_letters_are_anti_aliased_with_pillow(height: int) -> None:
    font = pytest.importorskip("PIL.ImageFont")
    if not hasattr(font.load_default(20), "getmetrics"):
        pytest.skip("this Pillow has no scalable font")
    line = text_coverage("#12 person 0.87", height)
    assert line.shape[0] == height
    assert len(np.unique(line)) > 20
    rows = np.flatnonzero(line.max(1) > 100)
    assert np.ptp(rows) > 0.6 * height
    # Nothing is cut off: the space around is empty.
    assert line[0].max() == line[-1].max() == line[:, -1].max() == 0


@pytest.mark.parametrize("height", [16, 20, 60])
def test_the_bitmap_font_takes_its_place(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIL", "PIL.ImageFont"):
        monkeypatch.setitem(sys.modules, name, None)
    line = text_coverage("#12 person 0.87", height)
    assert line.shape[0] == height
    assert set(np.unique(line)) == {0, 255}
    assert np.ptp(np.flatnonzero(line.any(1))) >= 0.5 * height


@pytest.mark.parametrize("words", ["", "Straße", "人", "a\tb"])
def test_any_text_can_be_drawn(words: str) -> None:
    assert text_coverage(words, 16).shape[0] == 16


def test_cached_text_is_not_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        text_coverage("abc", 16)[0, 0] = 1
