"""COCO results."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..io.files import Output
from ..results import Instances
from .sink import FileSink, FrameResult, export_format

log = logging.getLogger(__name__)


def coco_results(
    instances: Instances, image_id: int, category_ids: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """One image's entries of a COCO results file; a label's category is label + 1 unless given."""
    entries = []
    for i, rle in enumerate(instances.rle()):
        x0, y0, x1, y1 = instances.boxes[i].tolist()
        entries.append(
            {
                "image_id": int(image_id),
                "category_id": category_of(instances.labels[i], category_ids),
                "segmentation": rle,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "score": float(instances.scores[i]),
            }
        )
    return entries


def category_of(label: Any, category_ids: Sequence[int] | None) -> int:
    """The category of a label: label + 1 unless given."""
    return int(label) + 1 if category_ids is None else int(category_ids[int(label)])


@export_format("coco", metavar="JSON", text="COCO results", suffix=".coco.json", commands=("segment",))
class CocoSink(FileSink):
    """COCO results of images.

    The id of an image is the number that its file's name is, or, unless all images have different ones, its
    place in the list, from 1.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._output: Output = Output(path)
        self._images: list[tuple[str, int, Instances]] = []

    def write(self, frame: FrameResult) -> None:
        self._images.append((Path(frame.name or "").stem, frame.number + 1, frame.instances))

    def entries(self) -> list[dict[str, Any]]:
        """The results so far, by image."""
        numbers = [int(stem) if re.fullmatch("[0-9]{1,18}", stem) else None for stem, _, _ in self._images]
        distinct = None not in numbers and len(set(numbers)) == len(numbers)
        if not distinct and any(number is not None for number in numbers):
            log.warning("image ids are places in the list: not all names are different numbers")
        return [
            entry
            for number, (_, place, instances) in zip(numbers, self._images, strict=True)
            for entry in coco_results(instances, number if distinct and number is not None else place)
        ]

    def _end(self) -> None:
        json.dump(self.entries(), self._output.open(), separators=(",", ":"))
