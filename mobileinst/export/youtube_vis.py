"""YouTube-VIS results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..io.files import Output
from ..results import NO_ID
from .coco import category_of
from .sink import FileSink, FrameResult, export_format


@export_format("youtube_vis", metavar="JSON", text="YouTube-VIS results", suffix=".youtube-vis.json")
class YoutubeVisSink(FileSink):
    """YouTube-VIS results: one entry for each track, with a mask or null for each frame.

    A track's score is its mean over the frames that show it, its class the most frequent one.
    """

    def __init__(
        self, path: str | os.PathLike[str], video_id: int = 1, category_ids: Sequence[int] | None = None
    ) -> None:
        self._output: Output = Output(path)
        self._video_id = video_id
        self._category_ids = category_ids
        self._frames = 0
        self._masks: dict[int, dict[int, dict[str, Any]]] = {}
        self._scores: dict[int, list[tuple[float, int]]] = {}

    def write(self, frame: FrameResult) -> None:
        instances = frame.instances
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
                "category_id": category_of(np.bincount([c for _, c in seen]).argmax(), self._category_ids),
                "score": float(np.mean([score for score, _ in seen])),
                "segmentations": [self._masks[track].get(i) for i in range(self._frames)],
            }
            for track, seen in self._scores.items()
        ]

    def _end(self) -> None:
        json.dump(self.entries(), self._output.open(), separators=(",", ":"))
