"""What JSON lines of `mobileinst track` say about the whole video: frames, tracks, classes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..results import NO_ID, Instances

#: Times beyond this are damage.
_MOST_SECONDS = 1e9


@dataclass
class TrackRecord:
    """One track: its frames in order, and its score and share of the picture (0..1) in each of them."""

    id: int
    frames: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def label(self) -> str:
        """The class that it had most often."""
        return self.labels.most_common(1)[0][0]

    @property
    def best(self) -> int:
        """The frame that shows it best: large and sure."""
        worth = [score * area for score, area in zip(self.scores, self.areas, strict=True)]
        return self.frames[worth.index(max(worth))]

    @property
    def mean_score(self) -> float:
        return sum(self.scores) / len(self.scores)


@dataclass
class VideoRecord:
    """A tracked video. times: seconds of each frame. counts: instances of each class in each frame."""

    size: tuple[int, int] = (0, 0)
    times: list[float] = field(default_factory=list)
    counts: list[Counter[str]] = field(default_factory=list)
    tracks: dict[int, TrackRecord] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first frame's start to the last one's."""
        return self.times[-1] - self.times[0]

    @property
    def classes(self) -> list[str]:
        """All classes, the one with most instances first."""
        total: Counter[str] = sum(self.counts, Counter())
        return [name for name, _ in total.most_common()]


def read_video_record(path: str | os.PathLike[str]) -> VideoRecord:
    """Go through a file of JSON lines once.

    Raises:
        ValueError: if a line isn't what `mobileinst track --json` writes; the message names it.
        OSError: if the file can't be read.
    """
    video = VideoRecord()
    for number, (record, instances) in enumerate(read_frames(path)):
        time = record.get("time")
        if isinstance(time, bool) or not isinstance(time, (int, float)) or not 0 <= time < _MOST_SECONDS:
            raise ValueError(f"{path}, line {number + 1}: expected a frame with its time in seconds")
        video.times.append(float(time))
        video.size = video.size if number else instances.size
        video.counts.append(Counter(instances.names))
        whole = instances.height * instances.width
        for i in range(len(instances)):
            if instances.ids[i] != NO_ID:
                track = video.tracks.setdefault(int(instances.ids[i]), TrackRecord(int(instances.ids[i])))
                track.frames.append(number)
                track.scores.append(float(instances.scores[i]))
                track.areas.append(int(instances.areas[i]) / whole)
                track.labels[instances.names[i]] += 1
    if not video.times:
        raise ValueError(f"{path}: expected a JSON object a line for each frame, found none")
    return video


def read_frames(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], Instances]]:
    """The frames of a file of JSON lines, each as its object and its instances; errors as above."""
    with Path(path).open(encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a text file: {error}") from None


def _parse(line: str, where: str) -> tuple[dict[str, Any], Instances]:
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError(f"expected an object, got {type(record).__name__}")
        return record, Instances.from_dict(record)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not a frame of JSON lines: {error}") from None
