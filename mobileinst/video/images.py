"""Pictures by Pillow: single ones, animations and files of several pages, and folders of them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import MAX_SIDE
from ..io.extras import import_pillow
from .frames import DEFAULT_RATE, Frame, FrameSource, VideoError, reason

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".apng", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
#: Formats whose further pictures are frames or pages; in others (MPO) they are previews and depth maps.
_ANIMATED = ("GIF", "PNG", "TIFF", "WEBP")
#: TIFF's tag that says what a page is, and its bit for a smaller copy of another page.
_SUBFILE_TYPE, _REDUCED = 254, 1


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder in natural order (2 before 10), without hidden ones."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."]
    return sorted(found, key=lambda path: natural_key(path.name))


class FolderSource(FrameSource):
    """The images of a folder in natural order, the first picture of each."""

    def __init__(self, path: Path, rate: Fraction = DEFAULT_RATE) -> None:
        self.name = str(path)
        self.rate = rate
        try:
            self.paths = images_in(path)
        except OSError as error:
            raise VideoError(f"{path}: can't be read: {reason(error)}") from None
        if not self.paths:
            raise VideoError(f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none")
        self.count = len(self.paths)
        import_pillow()

    def __iter__(self) -> Iterator[Frame]:
        for number, path in enumerate(self.paths):
            yield Frame(read_image(path), float(number / (self.rate or DEFAULT_RATE)), path.name)

    def files(self) -> list[str]:
        return [str(path) for path in self.paths]


class ImageSource(FrameSource):
    """One image file: its picture, or all frames of an animation, or all pages."""

    def __init__(self, path: Path, rate: Fraction = DEFAULT_RATE) -> None:
        self.name = str(path)
        self._path = path
        with _opened(path) as image:
            self._pages = _pages(image)
            self.count = len(self._pages)
            self.rate = rate
            if self.count > 1:
                image.load()
                self.rate = Fraction(1 / self._duration(image)).limit_denominator(1001)

    def _duration(self, image: Any) -> float:
        """Seconds for which the picture that was read last stands, by the file where it says so."""
        said = image.info.get("duration")
        known = isinstance(said, (int, float)) and 1 <= said < 1e9
        return float(said) / 1000 if known else float(1 / (self.rate or DEFAULT_RATE))

    def __iter__(self) -> Iterator[Frame]:
        time = 0.0
        with _opened(self._path) as image:
            for number, page in enumerate(self._pages):
                if len(self._pages) > 1:
                    image.seek(page)
                name = self._path.name if len(self._pages) == 1 else f"{self._path.name}, picture {number}"
                picture = _upright(image)
                yield Frame(picture, time, name)
                time += self._duration(image)


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an image by Pillow as uint8 (H, W, 3) RGB, turned upright as its Exif data say.

    Of an animation or a file of several pages the first picture is read, with a warning in the log.

    Raises:
        VideoError: if there is no such file or it is no image that Pillow can read.
    """
    with _opened(path) as image:
        pages = _pages(image)
        if len(pages) > 1:
            log.warning("%s: the first of %d pictures is used", path, len(pages))
        return _upright(image)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """An image, open; whatever Pillow raises for a damaged one becomes a VideoError."""
    try:
        with _quiet():
            image = import_pillow()[0].open(path)
        with image:
            width, height = image.size
            if max(width, height) > MAX_SIDE:
                raise VideoError(f"{path}: expected sides of at most {MAX_SIDE} pixels, got {width}x{height}")
            yield image
    except (VideoError, ImportError):
        raise
    except FileNotFoundError:
        raise VideoError(f"{path} does not exist") from None
    except Exception as error:  # nearly every class, from struct.error to SyntaxError
        raise VideoError(f"{path}: can't be read as an image: {reason(error)}") from None


def _pages(image: Any) -> list[int]:
    """Numbers of the pictures that are frames or pages of their own."""
    count = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if count <= 1:
        return [0]
    if image.format != "TIFF":
        return list(range(count))
    pages = []
    for number in range(count):
        image.seek(number)
        kind = image.tag_v2.get(_SUBFILE_TYPE, 0)
        if not (isinstance(kind, int) and kind & _REDUCED):
            pages.append(number)
    image.seek(0)
    return pages or [0]


def _upright(image: Any) -> NDArray[np.uint8]:
    _, ops_module = import_pillow()
    image.load()
    try:
        with _quiet():
            turned = ops_module.exif_transpose(image)
    except Exception:  # a damaged Exif block, which says nothing of the picture
        log.debug("Exif data can't be read", exc_info=True)
        turned = image
    if turned.mode.startswith("I;16") or turned.mode == "I":
        grey = (np.asarray(turned) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    return np.array(turned.convert("RGB"))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings of damaged Exif data, which say nothing of the picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key by which numbers in names count as numbers: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.lower())
    # Digits beyond what int() takes from text are compared as text.
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 4000 else (1, 0, part)
        for part in parts
        if part
    ]
