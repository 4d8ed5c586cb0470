"""Image files of a set: where they lie, and their sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ..io.extras import import_pillow
from ..video.images import images_in
from .model import Collector, DatasetError

_ORIENTATION = 0x0112
#: Exif orientations that swap width and height.
_TURNED = (5, 6, 7, 8)

#: What folders and files of parts are called.
_PARTS = {
    "train": ("train", "training", "trainval"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def part_of(name: str) -> str | None:
    """The part that a file's or folder's name speaks of: instances_train.json, valid, ..."""
    words = "".join(c if c.isalpha() else " " for c in name.lower()).split()
    words = [word.removesuffix("set") for word in words]
    return next((part for part, known in _PARTS.items() if any(word in known for word in words)), None)


def images_below(folder: Path) -> list[Path]:
    """Image files of a folder, in natural order; none without the folder."""
    return images_in(folder) if folder.is_dir() else []


def class_names(folder: Path) -> list[str]:
    """The lines of ``classes.txt``; none without that file."""
    file = folder / "classes.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def find_image(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of an annotated image: its name, or the end of it, in one of the folders."""
    places = PurePosixPath(name.replace("\\", "/"))
    shorter = [places, *(PurePosixPath(*places.parts[i:]) for i in range(1, len(places.parts)))]
    for folder in folders:
        for place in shorter:
            if (folder / place).is_file():
                return folder / place
    return None


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as it is seen, upright.

    Raises:
        DatasetError: if it can't be read.
    """
    pillow, _ = import_pillow()
    try:
        with pillow.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception as error:  # readers of damaged files raise nearly every class
        raise DatasetError(f"can't be read as an image: {type(error).__name__}") from None
    return (width, height) if turned else (height, width)


def known_image(
    found: Collector,
    where: str,
    name: str,
    folders: Iterable[Path],
    given: Sequence[int | None] = (None, None),
) -> tuple[Path, tuple[int, int]] | None:
    """File and :func:`known_size` of an annotated image, looked for as :func:`find_image` does."""
    path = find_image(name, folders)
    size = known_size(found, where, name, path, given)
    return None if path is None or size is None else (path, size)


def known_size(
    found: Collector,
    where: str,
    name: str,
    path: Path | None,
    given: Sequence[int | None] = (None, None),
) -> tuple[int, int] | None:
    """Size of an annotated image; None, noted, if it is missing, damaged or not of the size that is given."""
    if path is None:
        found.error(where, f"the image {name} is missing")
        return None
    try:
        size = image_size(path)
    except DatasetError as error:
        found.error(str(path), str(error))
        return None
    if None not in given and tuple(given) != size:
        found.error(where, f"{name} is {size[1]}x{size[0]} pixels, its annotations say {given[1]}x{given[0]}")
        return None
    return size
