"""Text as pixels: anti-aliased by Pillow's own font where that is installed, else by our bitmap font."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .font import GLYPH_HEIGHT, render_text

#: Letters are this part of the shorter side of a frame high, with their ascenders and descenders.
_SHARE = 1 / 30
_LEAST = 16

#: Letters are drawn so many times larger and made small: their places aren't rounded to whole pixels.
_FINER = 4


def text_height(size: tuple[int, int]) -> int:
    """Height of a line of text in pixels that is legible on a frame of (height, width) pixels."""
    return max(_LEAST, round(min(size) * _SHARE))


@functools.lru_cache(maxsize=512)
def text_coverage(text: str, height: int) -> NDArray[np.uint8]:
    """One line of text, uint8 (height, width): 255 where letters cover a pixel wholly, 0 where not at all.

    Characters that the font lacks are drawn as an empty box. The array is shared: it can't be written to.
    """
    font = _font(height)
    coverage: NDArray[np.uint8] = _bitmap(text, height) if font is None else _smooth(text, height, font)
    coverage.flags.writeable = False
    return coverage


def _bitmap(text: str, height: int) -> NDArray[np.uint8]:
    scale = max(1, height // GLYPH_HEIGHT)
    letters = render_text(text, scale)[:, :-scale]
    spare = max(0, height - letters.shape[0])
    padded = np.pad(letters, ((spare - spare // 2, spare // 2), (0, 0)))
    shown: NDArray[np.uint8] = padded[:height].astype(np.uint8) * np.uint8(255)
    return shown


def _smooth(text: str, height: int, font: Any) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    ascent, descent = font.getmetrics()
    width = math.ceil(font.getlength(text) / _FINER) + 1
    picture = Image.new("L", (_FINER * width, _FINER * height))
    # Capitals and descenders are centred, not the room for accents above.
    baseline = (_FINER * height - ascent - descent) // 2 + ascent - _FINER * height // 12
    ImageDraw.Draw(picture).text((0, baseline), text, fill=255, font=font, anchor="ls")
    return np.array(picture.resize((width, height), Image.Resampling.BOX), np.uint8)


@functools.lru_cache(maxsize=16)
def _font(height: int) -> Any:
    """Pillow's font for lines so high, `_FINER` times enlarged; None where there is no such font."""
    try:
        from PIL import ImageFont

        font: Any = ImageFont.load_default(0.86 * _FINER * height)
        font.getmetrics()
    except (ImportError, OSError, TypeError, AttributeError):
        # Pillow before 10.1 has no scalable font, one without FreeType neither.
        return None
    return font
