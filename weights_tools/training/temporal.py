"""Clips of two frames for temporal training: from annotated videos, and from stills set in motion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weights_tools.training.augment import Frame, Sample, augment
from weights_tools.training.data import Batch, TrainingSet, collate
from weights_tools.training.source import class_indices, crop_instance, decode_mask

Assignment = Literal["carried", "literal"]


@dataclass(frozen=True)
class TemporalConfig:
    """How clips take part in the training.

    Attributes:
        share: Share of the steps that train on clips instead of single images.
        stills: Share of the clips made from stills.
        gap: Largest distance of the two frames of a video, in annotated frames, both ways.
        assignment: Which objects passed queries are trained on: ``carried`` by identity from the queries'
            own frame, or the later frame's own assignment, as the paper can be read (``literal``).
        weight: Weight of the passed masks' losses.
        annotations, images: Videos as YouTube-VIS JSON with the folder of their frames; empty for none.
    """

    share: float = 0.0
    stills: float = 0.7
    gap: int = 5
    assignment: Assignment = "carried"
    weight: float = 1.0
    annotations: str = ""
    images: str = ""

    def __post_init__(self) -> None:
        if not (0.0 <= self.share <= 1.0 and 0.0 <= self.stills <= 1.0):
            raise ValueError(f"share and stills must be 0 to 1; got {self.share} and {self.stills}")
        if self.assignment not in ("carried", "literal"):
            raise ValueError(f"assignment must be carried or literal; got {self.assignment!r}")
        if self.gap < 1:
            raise ValueError(f"gap must be at least 1 frame; got {self.gap}")
        if bool(self.annotations) != bool(self.images):
            raise ValueError("annotations and images of the videos must be given together")


class VideoSource:
    """Videos of a YouTube-VIS JSON file.

    Args:
        annotations: The JSON file. A video's ``all_instances_labelled`` says whether the absence of objects
            of its annotated classes means anything, that of others then never does; without it everything
            is marked.
        images: Folder of the frames.
        classes: As in :class:`~weights_tools.training.source.CocoSource`.
    """

    def __init__(self, annotations: Path, images: Path, classes: Sequence[str]) -> None:
        data = json.loads(annotations.read_text())
        labels = class_indices(data["categories"], classes, partial=True)
        self._folder = images
        self.videos: list[Mapping[str, Any]] = list(data["videos"])
        self._objects: list[list[tuple[int, int, Mapping[str, Any]]]] = [[] for _ in self.videos]
        position = {int(video["id"]): i for i, video in enumerate(self.videos)}
        for annotation in data["annotations"]:
            label = labels.get(int(annotation["category_id"]))
            if label is not None:
                crowd = bool(annotation.get("iscrowd", 0))
                entry = (int(annotation["id"]), -1 if crowd else label, annotation)
                self._objects[position[int(annotation["video_id"])]].append(entry)
        self._classes = len(classes)

    def length(self, video: int) -> int:
        """Frames of a video."""
        return len(self.videos[video]["file_names"])

    def frame(self, video: int, index: int) -> Frame:
        """Pixels and objects of a frame; objects keep their ids through the video."""
        record = self.videos[video]
        with Image.open(self._folder / record["file_names"][index]) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        instances, ids = [], []
        for identity, label, annotation in self._objects[video]:
            segmentation = annotation["segmentations"][index]
            if segmentation is None:
                continue
            mask = decode_mask(segmentation, int(record["height"]), int(record["width"]))
            item = crop_instance(mask, label)
            if item is not None:
                instances.append(item)
                ids.append(identity)
        return Frame(pixels, instances, ids)

    def negative(self, video: int) -> NDArray[np.float32]:
        """Weight (classes,) of the absence of each class in a video."""
        record = self.videos[video]
        if "all_instances_labelled" not in record:
            return np.ones(self._classes, np.float32)
        weights = np.zeros(self._classes, np.float32)
        if record["all_instances_labelled"]:
            weights[[label for _, label, _ in self._objects[video] if label >= 0]] = 1.0
        return weights


class ClipSet:
    """Clip number k of an endless stream; the same k always gives the same clip."""

    def __init__(self, stills: TrainingSet, videos: VideoSource | None, config: TemporalConfig) -> None:
        self.stills = stills
        self.videos = videos
        self.config = config

    def clip(self, number: int, size: int) -> list[Sample]:
        """Two frames of one clip as squares of ``size`` pixels."""
        rng = np.random.default_rng((self.stills.seed, 5, number))
        strength = self.stills.config.augment
        if self.videos is None or rng.random() < self.config.stills:
            frame = self.stills.frame(self.stills.index(number))
            negative = self.stills.negative(self.stills.index(number))
            frames, motion = [frame, frame], strength.motion
        else:
            video = int(rng.integers(len(self.videos.videos)))
            frames, motion = self._frames(video, rng), 0.0
            negative = self.videos.negative(video)
        return augment(frames, negative, size, rng, strength, self.stills.donor, motion=motion)

    def _frames(self, video: int, rng: np.random.Generator) -> list[Frame]:
        assert self.videos is not None
        length = self.videos.length(video)
        first = int(rng.integers(length))
        near = [i for i in range(first - self.config.gap, first + self.config.gap + 1) if 0 <= i < length]
        others = [i for i in near if i != first] or [first]
        second = others[int(rng.integers(len(others)))]
        return [self.videos.frame(video, first), self.videos.frame(video, second)]

    def batch(self, numbers: Sequence[int], size: int) -> Batch:
        """Clips as one batch: all first frames, then all second frames in the same order."""
        clips = [self.clip(number, size) for number in numbers]
        samples = [clip[0] for clip in clips] + [clip[1] for clip in clips]
        return collate(samples, self.stills.config.mean, self.stills.config.std, clips=len(clips))
