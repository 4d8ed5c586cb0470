"""Results in the formats that others read: JSON lines, COCO, YouTube-VIS, MOTS text, and PNG masks.

A sink takes the frames of one source in order and ends with `finish` or `discard`; its file appears under
its name only when finished.
"""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..io.files import Output
from ..io.png import write_png
from ..results import NO_ID, Instances, compress, encode


def frame_record(frame: int, time: float, instances: Instances, name: str | None = None) -> dict[str, Any]:
    """One frame as a JSON-ready object.

    ``{"frame", "time" (seconds)}`` and what `Instances.to_dict` gives; with `name` also ``"file"``.
    """
    record: dict[str, Any] = {"frame": frame, "time": round(time, 6)}
    if name is not None:
        record["file"] = name
    return record | instances.to_dict()


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
                "category_id": _category(instances.labels[i], category_ids),
                "segmentation": rle,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "score": float(instances.scores[i]),
            }
        )
    return entries


class Sink(ABC):
    """Where the results of one source go, frame by frame."""

    @abstractmethod
    def write(self, frame: int, time: float, instances: Instances) -> None:
        """Add the next frame."""

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written and give it its name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was begun."""


class JsonLinesSink(Sink):
    """One JSON object a line for each frame, see `frame_record`; path "-" is standard output."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._output = None if str(path) == "-" else Output(path)
        self._file: IO[str] = sys.stdout if self._output is None else self._output.open()

    def write(self, frame: int, time: float, instances: Instances, name: str | None = None) -> None:
        self._file.write(json.dumps(frame_record(frame, time, instances, name), separators=(",", ":")) + "\n")
        if self._output is None:
            self._file.flush()

    def finish(self) -> None:
        if self._output is not None:
            self._output.finish()

    def discard(self) -> None:
        if self._output is not None:
            self._output.discard()


class MotsSink(Sink):
    """MOTS text: ``frame id class height width rle`` a line; where masks overlap the better score wins.

    Frames count from 0, classes from 1; instances without a track are left out.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._output = Output(path)
        self._file = self._output.open()

    def write(self, frame: int, time: float, instances: Instances) -> None:
        tracked = instances[instances.ids != NO_ID]
        owners = owner_map(tracked)
        for i in range(len(tracked)):
            mask = owners == i + 1
            if mask.any():
                rle = compress(encode(mask[None])[0])
                label = int(tracked.labels[i]) + 1
                self._file.write(f"{frame} {tracked.ids[i]} {label} {tracked.height} {tracked.width} {rle}\n")

    def finish(self) -> None:
        self._output.finish()

    def discard(self) -> None:
        self._output.discard()


class YoutubeVisSink(Sink):
    """YouTube-VIS results: one entry for each track, with a mask or null for each frame.

    A track's score is its mean over the frames that show it, its class the most frequent one.
    """

    def __init__(
        self, path: str | os.PathLike[str], video_id: int = 1, category_ids: Sequence[int] | None = None
    ) -> None:
        self._output = Output(path)
        self._video_id = video_id
        self._category_ids = category_ids
        self._frames = 0
        self._masks: dict[int, dict[int, dict[str, Any]]] = {}
        self._scores: dict[int, list[tuple[float, int]]] = {}

    def write(self, frame: int, time: float, instances: Instances) -> None:
        for i, rle in enumerate(instances.rle()):
            track = int(instances.ids[i])
            if track != NO_ID:
                self._masks.setdefault(track, {})[self._frames] = rle
                seen = float(instances.scores[i]), int(instances.labels[i])
                self._scores.setdefault(track, []).append(seen)
        self._frames += 1

    def entries(self) -> list[dict[str, Any]]:
        """The results so far, by track."""
        return [
            {
                "video_id": self._video_id,
                "category_id": _category(np.bincount([c for _, c in seen]).argmax(), self._category_ids),
                "score": float(np.mean([score for score, _ in seen])),
                "segmentations": [self._masks[track].get(i) for i in range(self._frames)],
            }
            for track, seen in self._scores.items()
        ]

    def finish(self) -> None:
        json.dump(self.entries(), self._output.open(), separators=(",", ":"))
        self._output.finish()

    def discard(self) -> None:
        self._output.discard()


class PngMaskSink(Sink):
    """A folder with one 16-bit PNG for each frame: the id of the track that owns a pixel, 0 for none.

    Instances without a track count from 1, best first. Files are named by frame: 000000.png.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._made = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._written: list[Path] = []

    def write(self, frame: int, time: float, instances: Instances) -> None:
        path = self._folder / f"{frame:06d}.png"
        ids = np.where(instances.ids == NO_ID, np.arange(len(instances)) + 1, instances.ids)
        write_png(path, np.concatenate([[0], ids]).astype(np.uint16)[owner_map(instances)])
        self._written.append(path)

    def finish(self) -> None:
        """Nothing is left to do: each file was finished by itself."""

    def discard(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
        if self._made and not any(self._folder.iterdir()):
            self._folder.rmdir()


def owner_map(instances: Instances) -> NDArray[np.int64]:
    """Which instance owns each pixel: int64 (H, W), index + 1, 0 for none; the better score wins."""
    owners = np.zeros(instances.size, np.int64)
    for i in np.argsort(instances.scores, kind="stable"):
        owners[instances.mask(i)] = i + 1
    return owners


def _category(label: Any, category_ids: Sequence[int] | None) -> int:
    return int(label) + 1 if category_ids is None else int(category_ids[int(label)])
