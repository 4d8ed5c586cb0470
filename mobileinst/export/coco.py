"""COCO results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output
from ..results import Instances
from .sink import Sink, export_format


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
class CocoSink(Sink):
    """COCO results of images; an image's id is the number in its file's name, or its place in the list."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._output = Output(path)
        self._entries: list[dict[str, Any]] = []

    def write(
        self,
        frame: int,
        time: float,
        instances: Instances,
        name: str | None = None,
        overlay: NDArray[np.uint8] | None = None,
    ) -> None:
        stem = Path(name or "").stem
        self._entries += coco_results(instances, int(stem) if stem.isdecimal() else frame + 1)

    def finish(self) -> None:
        json.dump(self._entries, self._output.open(), separators=(",", ":"))
        self._output.finish()

    def discard(self) -> None:
        self._output.discard()
