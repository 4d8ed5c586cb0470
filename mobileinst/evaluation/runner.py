"""Running a Segmenter over an annotated set, with results in the official formats."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..export import coco_results
from ..inputs import check_count, check_thresholds
from ..results import Instances, encode
from ..tracking import Keyframe, Track, Tracker
from ..video import read_image
from .entries import DataError
from .files import CategoryMap, read_annotations
from .set_run import RunReport, SetRun

if TYPE_CHECKING:
    from ..segmenter import Segmenter

#: Results below these scores are not written. Average precision wants the uncertain ones too.
COCO_SCORE, TRACK_SCORE = 0.001, 0.05
#: Tracks of a video that are written at most, as the official evaluator counts.
MOST_TRACKS = 100


def run_coco(
    segmenter: Segmenter,
    annotations: Any,
    images: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    score_threshold: float = COCO_SCORE,
    mirror: bool = False,
    quiet: bool = True,
    jobs: int = 1,
    ray: str | None = None,
) -> RunReport:
    """Segment every image of a set in COCO format.

    Args:
        segmenter: its classes are mapped to the set's categories by name or supercategory.
        annotations: path of the JSON file, or the loaded object.
        images: folder of the images.
        output: results file, written at the end. Until then finished images are kept beside it
            (``NAME.partial.jsonl``), and the same call goes on from there after an interruption.
        score_threshold: results below it are not written.
        mirror: show the model each image flipped from left to right; its masks are flipped back.
        quiet: show no progress; otherwise it is shown on standard error if that is a terminal.
        jobs: processes of this machine that share the images, each with a Segmenter like this one. Results
            are the same for any number.
        ray: spread over a Ray cluster instead (``auto``, ``local`` or an address), at most `jobs` images at
            a time, or with 0 as many as fit; the images' folder must have the same path on all nodes.

    Raises:
        DataError: if an image is missing or is not of the annotated size, or no class fits, or an image ends
            the process that works at it.
    """
    check_thresholds(score_threshold, len(segmenter.classes))
    data = read_annotations(annotations, "images")
    mapping = _mapping(segmenter, data)
    work = ImageWork(Path(os.path.abspath(images)), mapping, score_threshold, mirror)
    settings = {"score_threshold": score_threshold, "mirror": mirror}
    run = SetRun(segmenter, data["images"], Path(images), work, jobs, ray)
    return run.finish(mapping, output, settings, quiet)


def run_youtube_vis(
    segmenter: Segmenter,
    annotations: Any,
    images: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    keyframe_every: int = 3,
    score_threshold: float = TRACK_SCORE,
    tracker: Callable[[], Tracker] | None = None,
    quiet: bool = True,
    jobs: int = 1,
    ray: str | None = None,
) -> RunReport:
    """Track through every video of a set in YouTube-VIS format.

    The score of a track in a class is the mean, over the keyframes that saw it, of its score in that class
    (MinVIS averages so too). Every class whose mean reaches the threshold gives a result; the best 100 of a
    video are written.

    Args:
        segmenter, annotations, images, output, quiet, jobs, ray: as `run_coco`, with videos instead of
            images; `images` holds the videos' folders.
        keyframe_every: as :meth:`Segmenter.track`.
        score_threshold: from which a track begins, and a result is written.
        tracker: makes the Tracker of each video, to measure other options; None means the default ones.
            Other processes make a Tracker of the same options.

    Raises:
        DataError: as `run_coco`.
    """
    check_thresholds(score_threshold, len(segmenter.classes))
    check_count("keyframe_every", keyframe_every)
    data = read_annotations(annotations, "videos")
    mapping = _mapping(segmenter, data)
    make = Tracker if tracker is None else tracker
    options, rule = make().options, make().association

    spread = jobs != 1 or ray is not None
    work = VideoWork(
        Path(os.path.abspath(images)),
        mapping,
        score_threshold,
        keyframe_every,
        functools.partial(Tracker, **options, association=rule) if spread else make,
    )
    settings = {
        "keyframe_every": keyframe_every,
        "score_threshold": score_threshold,
        "tracker": {**options, "association": getattr(rule, "__qualname__", repr(rule))},
    }
    run = SetRun(segmenter, data["videos"], Path(images), work, jobs, ray)
    return run.finish(mapping, output, settings, quiet)


def track_video(
    segmenter: Segmenter,
    frames: Iterable[NDArray[np.uint8]],
    video_id: int,
    mapping: CategoryMap,
    *,
    keyframe_every: int = 3,
    score_threshold: float | Sequence[float] | None = TRACK_SCORE,
    tracker: Tracker | None = None,
) -> list[dict[str, Any]]:
    """Results of one video in YouTube-VIS format, best first, as `run_youtube_vis` describes them.

    `tracker` gives the options of tracking; a `ScoreRecorder` is used itself. With None as
    `score_threshold` tracks begin at the weights' own, and every class of them gives a result.
    """
    recorder = tracker if isinstance(tracker, ScoreRecorder) else ScoreRecorder.like(tracker or Tracker())
    found = list(
        segmenter.track(
            frames, keyframe_every=keyframe_every, score_threshold=score_threshold, tracker=recorder
        )
    )
    masks: dict[int, list[dict[str, Any] | None]] = {}
    for number, instances in enumerate(found):
        for track, mask in zip(instances.ids.tolist(), instances.rle(), strict=True):
            masks.setdefault(track, [None] * len(found))[number] = mask
    ids = dict(zip(mapping.names, mapping.ids, strict=True))
    least = 0.0 if score_threshold is None else float(np.min(score_threshold))
    means = recorder.mean_scores()
    ranked = sorted(
        (-float(score), track, segmenter.classes[label])
        for track in masks
        for label, score in enumerate(means[track])
        if score >= least and segmenter.classes[label] in ids
    )
    return [
        {
            "video_id": video_id,
            "category_id": ids[name],
            "score": -negative,
            "track_id": track,
            "segmentations": masks[track],
        }
        for negative, track, name in ranked[:MOST_TRACKS]
    ]


class ScoreRecorder(Tracker):
    """A Tracker that sums the class scores of each track over the keyframes that see it."""

    def reset(self) -> None:
        """Forget everything, the sums too."""
        super().reset()
        self._sums: dict[int, tuple[int, NDArray[np.float64]]] = {}

    @classmethod
    def like(cls, tracker: Tracker) -> ScoreRecorder:
        """With the options and the association of another Tracker."""
        return cls(**tracker.options, association=tracker.association)

    def take(self, keyframe: Keyframe) -> list[Track]:
        """As Tracker.take."""
        visible = super().take(keyframe)
        for track in visible:
            scores = keyframe.detections.class_scores[track.detection].astype(np.float64)
            number, total = self._sums.get(track.id, (0, np.zeros_like(scores)))
            self._sums[track.id] = number + 1, total + scores
        return visible

    def mean_scores(self) -> dict[int, NDArray[np.float64]]:
        """Mean class scores (classes,) by track id."""
        return {track: total / number for track, (number, total) in self._sums.items()}


def _mapping(segmenter: Segmenter, data: Mapping[str, Any]) -> CategoryMap:
    mapping = CategoryMap.of(data["categories"], segmenter.classes)
    if not mapping.names:
        raise DataError(
            f"none of the model's classes ({', '.join(segmenter.classes)}) is a category or supercategory of "
            "the annotations"
        )
    return mapping


def _read(path: Path, item: Mapping[str, Any]) -> NDArray[np.uint8]:
    frame = read_image(path)
    expected = (item.get("height", frame.shape[0]), item.get("width", frame.shape[1]))
    if frame.shape[:2] != expected:
        raise DataError(f"{path}: expected {expected} (height, width) pixels, got {frame.shape[:2]}")
    return frame


def _mirrored(found: Instances) -> Instances:
    """Flipped from left to right."""
    masks = [encode(found.mask(i)[None, :, ::-1])[0] for i in range(len(found))]
    return Instances(found.size, masks, found.scores, found.labels, found.names, found.ids)


@dataclass(frozen=True)
class ImageWork:
    """What is done with one image of a COCO set, in this process or another."""

    images: Path
    mapping: CategoryMap
    score_threshold: float
    mirror: bool = False

    def __call__(
        self, segmenter: Segmenter, image: Mapping[str, Any], step: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        frame = _read(self.images / image["file_name"], image)
        found = segmenter.segment(frame[:, ::-1] if self.mirror else frame, self.score_threshold)
        found = _mirrored(found) if self.mirror else found
        step("")
        ids = dict(zip(self.mapping.names, self.mapping.ids, strict=True))
        known = found[np.array([name in ids for name in found.names], np.bool_)]
        return coco_results(known, image["id"], [ids.get(name, -1) for name in segmenter.classes])


@dataclass(frozen=True)
class VideoWork:
    """What is done with one video of a YouTube-VIS set, in this process or another."""

    images: Path
    mapping: CategoryMap
    score_threshold: float
    keyframe_every: int
    tracker: Callable[[], Tracker]

    def __call__(
        self, segmenter: Segmenter, video: Mapping[str, Any], step: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        def frames() -> Iterator[NDArray[np.uint8]]:
            for name in video["file_names"]:
                yield _read(self.images / name, video)
                step(str(video.get("name", "")))

        return track_video(
            segmenter,
            frames(),
            video["id"],
            self.mapping,
            keyframe_every=self.keyframe_every,
            score_threshold=self.score_threshold,
            tracker=self.tracker(),
        )
