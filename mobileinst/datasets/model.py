"""What every format is read into: pictures with their items, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..evaluation.entries import DataError
from ..evaluation.files import read_json
from ..evaluation.run_lengths import frame_runs
from ..io.problems import Problem

#: Class of objects for which a format names none.
NAMELESS = "object"

#: Polygons may pass the image's edges by this share of its sides; more is said, and cut off.
_BEYOND = 0.02


class DatasetError(ValueError):
    """Annotations that can't be used; the message names the file and the line or entry."""


def read_annotation_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DatasetError: if it can't be read.
    """
    try:
        return read_json(file, "annotations")
    except DataError as error:
        raise DatasetError(str(error).removeprefix("annotations ")) from None


@dataclass(frozen=True)
class Item:
    """An annotated object.

    Attributes:
        label: Index of its class.
        segmentation: Polygons [[x0, y0, x1, y1, ...], ...] or COCO run lengths, in pixels of the image; None
            if only the box is known.
        box: x, y, width and height in pixels.
        crowd: Whether it is a region in which nothing is learned.
    """

    label: int
    segmentation: Any
    box: tuple[float, float, float, float]
    crowd: bool = False


@dataclass(frozen=True)
class Picture:
    """An image. part: "train", "val" or "test", None where the set says nothing. size: height and width."""

    path: Path
    size: tuple[int, int]
    items: tuple[Item, ...]
    part: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Annotated images.

    Attributes:
        form: Name of the form that was read.
        classes: Names; items' labels are indices of these.
        pictures: In the order of the files.
        warnings: What was left out or is doubtful.
    """

    form: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    warnings: tuple[Problem, ...] = ()

    def part(self, name: str | None) -> tuple[Picture, ...]:
        """Pictures of a part."""
        return tuple(picture for picture in self.pictures if picture.part == name)

    def counts(self) -> dict[str, int]:
        """Objects of each class, without crowds."""
        found = Counter(i.label for p in self.pictures for i in p.items if not i.crowd)
        return {name: found[index] for index, name in enumerate(self.classes)}


@dataclass
class Collector:
    """What a reader finds: pictures with class names, which become a :class:`Dataset`, and problems.

    Args:
        form: Name of the form.
        skip_bad: Leave what is wrong out, with a warning, instead of refusing the set.
    """

    form: str
    skip_bad: bool = False
    problems: list[Problem] = field(default_factory=list)
    pictures: list[tuple[Path, tuple[int, int], str | None, list[tuple[str, Item]]]] = field(
        default_factory=list
    )
    names: list[str] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)

    def error(self, where: str, message: str) -> None:
        """Note what makes the set unusable, or is left out with ``skip_bad``."""
        self.problems.append(Problem(where, message, not self.skip_bad))

    def warn(self, where: str, message: str) -> None:
        """Note what is left out or doubtful."""
        self.problems.append(Problem(where, message, error=False))

    def item(
        self, where: str, name: str, segmentation: Any, size: tuple[int, int], *, crowd: bool = False
    ) -> tuple[str, Item] | None:
        """An object with a mask, checked; None if it is wrong (noted) or has no pixel (noted)."""
        try:
            if isinstance(segmentation, dict):
                runs = frame_runs(segmentation, *size)
                if not runs[1::2].sum():
                    raise ValueError("the mask is empty")
                return name, Item(-1, segmentation, _run_box(runs, size[0]), crowd)
            polygons = self._inside(where, segmentation, size)
            if not polygons:
                self.warn(where, "an object of no area is left out")
                return None
            xs, ys = ([v for polygon in polygons for v in polygon[axis::2]] for axis in (0, 1))
            box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
            return name, Item(-1, polygons, box, crowd)
        except ValueError as error:
            self.error(where, str(error))
            return None

    def boxed(
        self, where: str, name: str, box: tuple[float, float, float, float], size: tuple[int, int]
    ) -> tuple[str, Item] | None:
        """An object of which only the box is known; None if it has no area in the image (noted)."""
        x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
        x1, y1 = min(box[0] + box[2], float(size[1])), min(box[1] + box[3], float(size[0]))
        if x1 - x0 < 1 or y1 - y0 < 1:
            self.warn(where, "a box of no area is left out")
            return None
        return name, Item(-1, None, (x0, y0, x1 - x0, y1 - y0))

    def _inside(self, where: str, polygons: Any, size: tuple[int, int]) -> list[list[float]]:
        """Polygons of some area, cut at the image's edges."""
        kept = []
        for polygon in polygons:
            if len(polygon) < 6 or len(polygon) % 2:
                raise ValueError(f"expected a polygon of 3 or more points, got {len(polygon)} coordinates")
            frame_runs([polygon], *size)  # refuses what can't be traced
            far = max(
                max(max(-v, v - limit) / limit for v in polygon[axis::2])
                for axis, limit in ((0, size[1]), (1, size[0]))
            )
            if far > _BEYOND:
                self.warn(where, f"a polygon passes the edges of its image of {size[1]}x{size[0]} pixels")
            cut = [min(max(float(v), 0.0), float(size[1 - i % 2])) for i, v in enumerate(polygon)]
            if _area(cut) > 0:
                kept.append(cut)
        return kept

    def add(
        self,
        path: Path,
        size: tuple[int, int],
        items: list[tuple[str, Item] | None],
        part: str | None,
    ) -> None:
        """A picture with the objects that are left; of one that comes again the first is kept."""
        if path in self._seen:
            self.warn(str(path), "annotated twice: the second time is left out")
            return
        self._seen.add(path)
        self.pictures.append((path, size, part, [item for item in items if item is not None]))

    def dataset(self) -> Dataset:
        """The set that was read.

        Raises:
            DatasetError: if anything is wrong, or there is nothing to learn from.
        """
        wrong = [problem for problem in self.problems if problem.error]
        if wrong:
            more = f" (and {len(wrong) - 1} more; --check lists them)" if len(wrong) > 1 else ""
            raise DatasetError(f"{wrong[0].where}: {wrong[0].message}{more}; --skip-bad leaves such out")
        names = list(self.names)
        for _, _, _, items in self.pictures:
            for name, item in items:
                if name not in names and not item.crowd:
                    names.append(name)
        used = {name for _, _, _, items in self.pictures for name, item in items if not item.crowd}
        for name in (name for name in names if name not in used):
            self.warn("classes", f"no object of {name!r}: the class is left out")
        classes = tuple(name for name in names if name in used)
        if not classes:
            raise DatasetError(f"no annotated object among {len(self.pictures)} images ({self.form})")
        index = {name: i for i, name in enumerate(classes)}
        pictures = tuple(
            Picture(path, size, tuple(replace(item, label=index.get(name, 0)) for name, item in items), part)
            for path, size, part, items in self.pictures
        )
        return Dataset(self.form, classes, pictures, tuple(p for p in self.problems if not p.error))


def _area(polygon: list[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    turned = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in turned)) / 2


def _run_box(runs: Any, height: int) -> tuple[float, float, float, float]:
    """Box of column-major run lengths."""
    ends = runs.cumsum()
    starts, stops = ends[0::2][: len(runs) // 2], ends[1::2]
    kept = stops > starts
    starts, stops = starts[kept], stops[kept]
    left, right = starts[0] // height, (stops[-1] - 1) // height
    spans = starts // height != (stops - 1) // height
    top = 0 if spans.any() else (starts % height).min()
    bottom = height - 1 if spans.any() else ((stops - 1) % height).max()
    return float(left), float(top), float(right - left + 1), float(bottom - top + 1)
