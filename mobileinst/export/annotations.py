"""Instances as annotations to be corrected and trained on: YOLO-seg, COCO and labelme folders.

Each format is a class that makes one folder, which holds the images too. An annotation that is there already,
and may have been corrected by hand, is never replaced.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output, numbered_stems
from ..io.png import write_png
from ..masks.polygons import Ring, join_rings
from ..results import Instances
from ..video import VideoError

_EXIF_ORIENTATION = 0x0112


class AnnotationFolder(ABC):
    """A folder of images with annotations, made image by image; ends with `finish` or `discard`.

    Args:
        folder: where it is made.
        classes: all class names, in the order of the instances' labels.
        tolerance: how far polygons may run beside masks, in pixels. Up: fewer corners to correct.

    Raises:
        FileExistsError: if the folder holds annotations already.
    """

    images = Path("images")

    def __init__(
        self, folder: str | os.PathLike[str], classes: Sequence[str], *, tolerance: float = 1.0
    ) -> None:
        self.folder = Path(folder)
        self.classes = tuple(classes)
        self.tolerance = tolerance
        self._stems: set[str] = set()
        self._written: list[Path] = []
        self._made: list[Path] = []
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Raise FileExistsError where annotations would be replaced."""

    @abstractmethod
    def _annotate(self, file: str, instances: Instances) -> None:
        """Add the annotations of an image of this file name."""

    def add(self, image: Path | NDArray[np.uint8], instances: Instances, name: str = "frame") -> Path:
        """Add an image with its instances; says where the image lies in the folder.

        Args:
            image: file that is copied (turned upright where its Exif data say so), or uint8 (H, W, 3), RGB,
                which is written as PNG.
            instances: what is in it.
            name: file name without suffix of an image that comes as an array.
        """
        source = image if isinstance(image, Path) else Path(f"{name}.png")
        stem = self._free_stem(source.stem, source.suffix)
        place = self.folder / self.images / f"{stem}{source.suffix}"
        self._begin(place)
        if isinstance(image, Path):
            _copy_upright(image, place)
        else:
            write_png(place, image)
        self._annotate(place.name, instances)
        return place

    def complete(self) -> None:  # noqa: B027 (nothing is left for some)
        """Write what is left to write: after this `finish` can't fail."""

    def finish(self) -> None:
        """Keep what was made."""
        self._made.clear()
        self._written.clear()

    def discard(self) -> None:
        """Remove what was made."""
        for path in self._written:
            path.unlink(missing_ok=True)
        for folder in reversed(self._made):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def polygons(self, instances: Instances) -> list[list[Ring]]:
        """Outlines within the tolerance, exact ones of masks that would vanish in it."""
        outlines = instances.polygons(self.tolerance)
        return [found or instances[i].polygons(0)[0] for i, found in enumerate(outlines)]

    def _write(self, place: Path, text: str) -> None:
        self._begin(place)
        with Output(place) as output:
            output.open().write(text)

    def _write_json(self, place: Path, value: Any) -> None:
        self._write(place, json.dumps(value, ensure_ascii=False))

    def _begin(self, place: Path) -> None:
        """Make a file's folder and remember the file; raises FileExistsError where there is one."""
        self._refuse(place)
        missing = [folder for folder in place.parents if not folder.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        self._made.extend(reversed(missing))
        self._written.append(place)

    @staticmethod
    def _refuse(*places: Path) -> None:
        for place in places:
            if place.exists():
                raise FileExistsError(f"{place} exists already; annotations are never replaced")

    def _free_stem(self, stem: str, suffix: str) -> str:
        """`stem`, or `stem`-2 and so on, short enough for the image's suffix and an annotation's."""
        longest = max(suffix, ".json", key=lambda end: len(os.fsencode(end)))
        free = next(free for free in numbered_stems(stem, longest) if free not in self._stems)
        self._stems.add(free)
        return free


class YoloFolder(AnnotationFolder):
    """``images/train/``, ``labels/train/NAME.txt`` and ``data.yaml``: what Ultralytics' models train on.

    A line for each instance: class index, then x and y of its corners as shares of width and height. An
    instance of several components is one polygon, in which they are joined by lines there and back.
    """

    images = Path("images", "train")

    def _prepare(self) -> None:
        self._refuse(self.folder / "data.yaml", self.folder / "labels")

    def _annotate(self, file: str, instances: Instances) -> None:
        scale = np.array([instances.width, instances.height], np.float32)
        lines = []
        for label, rings in zip(instances.labels, self.polygons(instances), strict=True):
            corners = (join_rings(rings) / scale).ravel()
            lines.append(f"{label} " + " ".join(f"{corner:.6f}" for corner in corners))
        text = "".join(f"{line}\n" for line in lines)
        self._write(self.folder / "labels" / "train" / f"{Path(file).stem}.txt", text)

    def complete(self) -> None:
        # JSON's strings are YAML's, too.
        names = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(self.classes))
        self._write(self.folder / "data.yaml", f"train: images/train\nval: images/train\nnames:\n{names}")


class CocoFolder(AnnotationFolder):
    """``images/`` and ``annotations/instances_default.json``, COCO's form as CVAT and Label Studio read it.

    Masks are polygons; areas and boxes are those of the masks. A class's category id is its index + 1.
    """

    def _prepare(self) -> None:
        self._place = self.folder / "annotations" / "instances_default.json"
        self._refuse(self._place)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def _annotate(self, file: str, instances: Instances) -> None:
        image = len(self._images) + 1
        size = {"width": instances.width, "height": instances.height}
        self._images.append({"id": image, "file_name": file, **size})
        for i, rings in enumerate(self.polygons(instances)):
            x0, y0, x1, y1 = instances.boxes[i].tolist()
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image,
                    "category_id": int(instances.labels[i]) + 1,
                    "segmentation": [list(itertools.chain(*_corners(ring))) for ring in rings],
                    "area": int(instances.areas[i]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": 0,
                    "score": round(float(instances.scores[i]), 4),
                }
            )

    def complete(self) -> None:
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(self.classes)]
        self._write_json(
            self._place,
            {"images": self._images, "annotations": self._annotations, "categories": categories},
        )


class LabelmeFolder(AnnotationFolder):
    """``NAME.json`` beside each image, as labelme opens it; an instance's components share a ``group_id``."""

    images = Path()

    def _prepare(self) -> None:
        """Files are looked at one by one."""

    def _annotate(self, file: str, instances: Instances) -> None:
        shapes: list[dict[str, Any]] = [
            {
                "label": instances.names[i],
                "points": _corners(ring),
                "group_id": i + 1 if len(rings) > 1 else None,
                "description": f"score {instances.scores[i]:.2f}",
                "shape_type": "polygon",
                "flags": {},
            }
            for i, rings in enumerate(self.polygons(instances))
            for ring in rings
        ]
        record: dict[str, Any] = {
            "version": "5.0.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": file,
            "imageData": None,
            "imageHeight": instances.height,
            "imageWidth": instances.width,
        }
        self._write_json(self.folder / f"{Path(file).stem}.json", record)


#: Formats of `mobileinst segment --label-out`.
ANNOTATION_FORMATS: dict[str, type[AnnotationFolder]] = {
    "yolo": YoloFolder,
    "coco": CocoFolder,
    "labelme": LabelmeFolder,
}


def _corners(ring: Ring) -> list[list[float]]:
    return [[round(x, 2), round(y, 2)] for x, y in ring.tolist()]


def _copy_upright(source: Path, place: Path) -> None:
    """Copy an image's bytes, or, since not all readers look at it, undo an Exif orientation."""
    from PIL import Image, ImageOps

    with Output(place) as output:
        try:
            with Image.open(source) as image:
                if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
                    upright = ImageOps.exif_transpose(image)
                    upright.save(output.open("wb"), format=image.format, quality=95)
                    return
        except (OSError, ValueError, SyntaxError) as error:
            raise VideoError(f"{source}: can't be read as an image: {error}") from None
        with source.open("rb") as file:
            shutil.copyfileobj(file, output.open("wb"))
