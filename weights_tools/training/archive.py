"""Photographs and masks in files small enough to travel to another machine (ours).

``python -m weights_tools.training.archive CONFIG OUT --mib 60`` writes the training sets of a configuration,
each photograph scaled down and stored as WebP, into as many archives of that size as are asked for. An
archive stands in for a set: ``[[train]] annotations = "OUT-1.npz"``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobileinst.io.files import check_writable
from weights_tools.command import tells_errors
from weights_tools.training.source import ImageInfo, Instance, Source, crop_instance

_FORMAT = 1

#: Columns of the table of instances.
_COLUMNS = ("image", "y", "x", "height", "width", "label", "exact", "permille")


class ArchiveSource:
    """The images of an archive, decoded at every access.

    Args:
        path: Written by :func:`write_archives`.
        classes: The configuration's classes, which must be the archive's.

    Raises:
        ValueError: if the file is no archive of these classes.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        try:
            with path.open("rb") as file, np.load(file) as stored:
                header = json.loads(bytes(stored["header"]))
                arrays = {name: stored[name] for name in ("pixels", "ends", "instances", "bits")}
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: expected an archive of photographs: {error}") from error
        if header.get("format") != _FORMAT or tuple(header["classes"]) != tuple(classes):
            raise ValueError(
                f"{path}: expected format {_FORMAT} with classes {list(classes)}, "
                f"got format {header.get('format')} with {header.get('classes')}"
            )
        self.classes = tuple(classes)
        self.infos = [ImageInfo(f, s, tuple(known)) for f, s, known in header["infos"]]
        self._pixels: NDArray[np.uint8] = arrays["pixels"]
        self._ends: NDArray[np.int64] = np.concatenate([[0], arrays["ends"]])
        self._table: NDArray[np.int64] = arrays["instances"]
        self._bits: NDArray[np.uint8] = arrays["bits"]
        self._first = np.searchsorted(self._table[:, 0], np.arange(len(self.infos) + 1))
        lengths = (self._table[:, 3] * self._table[:, 4] + 7) // 8 * self._table[:, 6]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3)."""
        encoded = self._pixels[self._ends[index] : self._ends[index + 1]].tobytes()
        with Image.open(io.BytesIO(encoded)) as opened:
            return np.asarray(opened.convert("RGB"))

    def donors(self, index: int) -> set[int]:
        """Classes of which an image has an object with a known mask."""
        rows = self._table[self._first[index] : self._first[index + 1]]
        return set(rows[(rows[:, 5] >= 0) & (rows[:, 6] == 1), 5].tolist())

    def instances(self, index: int) -> list[Instance]:
        """Objects of an image, crowds included."""
        found = []
        for row in range(self._first[index], self._first[index + 1]):
            _, y, x, height, width, label, exact, permille = self._table[row].tolist()
            if exact:
                bits = self._bits[self._starts[row] : self._starts[row + 1]]
                inside = np.unpackbits(bits, count=height * width).reshape(height, width) * np.uint8(255)
            else:
                inside = np.full((height, width), 255, np.uint8)
            found.append(Instance(np.pad(inside, 1), x - 1, y - 1, label, bool(exact), permille / 1000))
        return found


def scaled(pixels: NDArray[np.uint8], items: Sequence[Instance], side: int) -> tuple[Any, list[Instance]]:
    """An image whose shorter side is at most ``side`` pixels, as Pillow's, with its objects.

    An object whose mask has no pixel left is dropped.
    """
    image = Image.fromarray(pixels)
    factor = side / min(image.size)
    if factor >= 1:
        return image, list(items)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    fx, fy = (new / old for new, old in zip(size, image.size, strict=True))
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    found = []
    for item in items:
        height, width = item.mask.shape
        x0, y0 = int(np.floor(item.x * fx)) - 1, int(np.floor(item.y * fy)) - 1
        shape = (int(np.ceil(width * fx)) + 3, int(np.ceil(height * fy)) + 3)
        place = (1 / fx, 0.0, x0 / fx - item.x, 0.0, 1 / fy, y0 / fy - item.y)
        mask = Image.fromarray(item.mask)
        drawn = mask.transform(shape, Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)
        crop = crop_instance((np.asarray(drawn) > 127).astype(np.uint8), item.label)
        if crop is not None:
            found.append(replace(item, mask=crop.mask, x=x0 + crop.x, y=y0 + crop.y))
    return image, found


class _Archive:
    """One archive while it grows."""

    def __init__(self) -> None:
        self.size = 0
        self._infos: list[tuple[str, str, tuple[bool, ...]]] = []
        self._pixels: list[bytes] = []
        self._rows: list[tuple[int, ...]] = []
        self._bits: list[NDArray[np.uint8]] = []

    def add(self, info: ImageInfo, encoded: bytes, items: Sequence[Instance]) -> None:
        index = len(self._infos)
        self._infos.append((info.file_name, info.source, info.labelled))
        self._pixels.append(encoded)
        for item in items:
            inside = item.mask[1:-1, 1:-1]
            place = (index, item.y + 1, item.x + 1, *inside.shape)
            self._rows.append((*place, item.label, int(item.exact), round(1000 * item.weight)))
            if item.exact:
                self._bits.append(np.packbits(inside > 127))
        self.size += len(encoded) + 64 * (1 + len(items))

    def write(self, path: Path, classes: Sequence[str]) -> None:
        """Write the file, whole or not at all."""
        header = json.dumps({"format": _FORMAT, "classes": list(classes), "infos": self._infos})
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(
                    file,
                    header=np.frombuffer(header.encode(), np.uint8),
                    pixels=np.frombuffer(b"".join(self._pixels), np.uint8),
                    ends=np.cumsum([len(p) for p in self._pixels], dtype=np.int64),
                    instances=np.array(self._rows, np.int64).reshape(-1, len(_COLUMNS)),
                    bits=np.concatenate([np.zeros(0, np.uint8), *self._bits]),
                )
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_archives(
    source: Source, order: Sequence[int], out: Path, *, limit: int, side: int, quality: int, most: int = 1
) -> Iterator[tuple[Path, int, int]]:
    """Write images in an order into ``OUT-1.npz`` and so on, until ``most`` archives are full.

    Args:
        limit: Bytes of an archive, about.
        side: Pixels of the shorter side at most.
        quality: WebP's, 1 to 100.

    Yields:
        Each file with its number of images and of bytes.
    """
    archive, count, number = _Archive(), 0, 1
    for index in order:
        image, items = scaled(source.image(index), source.instances(index), side)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        archive.add(source.infos[index], buffer.getvalue(), items)
        count += 1
        if archive.size >= 0.98 * limit:
            yield _finished(archive, out, number, source.classes, count)
            archive, count, number = _Archive(), 0, number + 1
            if number > most:
                return
    if count:
        yield _finished(archive, out, number, source.classes, count)


def _finished(
    archive: _Archive, out: Path, number: int, classes: Sequence[str], count: int
) -> tuple[Path, int, int]:
    path = out.with_name(f"{out.name}-{number}.npz")
    archive.write(path, classes)
    return path, count, path.stat().st_size


@tells_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Write a configuration's training photographs into files of a limited size."""
    from weights_tools.training.config import load_config
    from weights_tools.training.loader import open_sets

    parser = argparse.ArgumentParser(
        prog="python -m weights_tools.training.archive", description=main.__doc__
    )
    parser.add_argument("config", type=Path, help="TOML file")
    parser.add_argument("out", type=Path, help="beginning of the names; -1.npz, -2.npz ... is added")
    parser.add_argument("--mib", type=float, default=60.0, help="size of a file (60)")
    parser.add_argument("--most", type=int, default=1, help="number of files (1)")
    parser.add_argument("--side", type=int, default=288, help="shorter side in pixels (288)")
    parser.add_argument("--quality", type=int, default=55, help="WebP quality, 1 to 100 (55)")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    check_writable(options.out.with_name(f"{options.out.name}-1.npz"))
    source, repeat = open_sets(config)
    # the images that training shows most come first, so that one archive holds the best share of them
    weight = np.array(repeat) * [config.data.repeat.get(info.source, 1.0) for info in source.infos]
    rng = np.random.default_rng(config.seed)
    order = np.argsort(-(rng.random(len(weight)) ** (1.0 / np.maximum(weight, 1e-9))), kind="stable")
    written = write_archives(
        source,
        order[weight[order] > 0].tolist(),
        options.out,
        limit=int(options.mib * 2**20),
        side=options.side,
        quality=options.quality,
        most=options.most,
    )
    for path, count, size in written:
        print(f"{path}: {count} images, {size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
