"""Running a Segmenter over an annotated set: resumable, with results in the official formats."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..export import coco_results
from ..io.files import Output
from ..io.progress import Progress
from ..results import Instances
from ..tracking import Detections, Track, Tracker
from ..video import read_image
from .files import CategoryMap, DataError, read_annotations

if TYPE_CHECKING:
    from ..segmenter import Segmenter

#: Results below these scores are not written. Average precision wants the uncertain ones too.
COCO_SCORE, TRACK_SCORE = 0.001, 0.05
#: Tracks of a video that are written at most, as the official evaluator counts.
MOST_TRACKS = 100


@dataclass
class RunReport:
    """What a run did.

    results: in the official format, in the order of the annotations.
    mapping: which classes were measured under which category ids.
    frames, seconds: of this call, without what an earlier one had done.
    resumed: images or videos that an earlier, interrupted run had done.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    mapping: CategoryMap | None = None
    frames: int = 0
    seconds: float = 0.0
    resumed: int = 0


def run_coco(
    segmenter: Segmenter,
    annotations: Any,
    images: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    score_threshold: float = COCO_SCORE,
    quiet: bool = True,
) -> RunReport:
    """Segment every image of a set in COCO format.

    Args:
        segmenter: its classes are mapped to the set's categories by name or supercategory.
        annotations: path of the JSON file, or the loaded object.
        images: folder of the images.
        output: results file, written at the end. Until then finished images are kept beside it
            (``NAME.partial.jsonl``), and the same call goes on from there after an interruption.
        score_threshold: results below it are not written.
        quiet: show no progress; otherwise it is shown on standard error if that is a terminal.

    Raises:
        DataError: if an image is missing or is not of the annotated size, or no class fits.
    """
    data = read_annotations(annotations, "images")
    mapping = _mapping(segmenter, data)

    def one(image: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
        found = segmenter.segment(_read(Path(images) / image["file_name"], image), score_threshold)
        progress.step()
        return _coco_entries(found, image["id"], segmenter.classes, mapping)

    settings = {"score_threshold": score_threshold}
    return _run(segmenter, data["images"], Path(images), one, mapping, output, settings, quiet)


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
) -> RunReport:
    """Track through every video of a set in YouTube-VIS format.

    The score of a track in a class is the mean, over the keyframes that saw it, of its score in that class
    (MinVIS averages so too). Every class whose mean reaches the threshold gives a result; the best 100 of a
    video are written.

    Args:
        segmenter, annotations, images, output, quiet: as `run_coco`; `images` holds the videos' folders.
        keyframe_every: as :meth:`Segmenter.track`.
        score_threshold: from which a track begins, and a result is written.
        tracker: makes the Tracker of each video, to measure other options; None means the default ones.

    Raises:
        DataError: as `run_coco`.
    """
    data = read_annotations(annotations, "videos")
    mapping = _mapping(segmenter, data)
    make = Tracker if tracker is None else tracker

    def one(video: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
        def frames() -> Iterator[NDArray[np.uint8]]:
            for name in video["file_names"]:
                yield _read(Path(images) / name, video)
                progress.step(str(video.get("name", "")))

        return track_video(
            segmenter,
            frames(),
            video["id"],
            mapping,
            keyframe_every=keyframe_every,
            score_threshold=score_threshold,
            tracker=make(),
        )

    settings = {
        "keyframe_every": keyframe_every,
        "score_threshold": score_threshold,
        "tracker": make().options,
    }
    return _run(segmenter, data["videos"], Path(images), one, mapping, output, settings, quiet)


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
        """With the options of another Tracker."""
        return cls(**tracker.options)

    def update(
        self,
        detections: Detections,
        thresholds: NDArray[np.float32],
        predicted: NDArray[np.bool_] | None = None,
    ) -> list[Track]:
        """As Tracker.update."""
        visible = super().update(detections, thresholds, predicted)
        for track in visible:
            scores = detections.class_scores[track.detection].astype(np.float64)
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


def _coco_entries(
    found: Instances, image_id: int, classes: Sequence[str], mapping: CategoryMap
) -> list[dict[str, Any]]:
    ids = dict(zip(mapping.names, mapping.ids, strict=True))
    known = found[np.array([classes[label] in ids for label in found.labels], np.bool_)]
    return coco_results(known, image_id, [ids.get(name, -1) for name in classes])


def _names(item: Mapping[str, Any]) -> list[str]:
    """Image files of an image or a video."""
    return [item["file_name"]] if "file_name" in item else list(item["file_names"])


def _run(
    segmenter: Segmenter,
    items: Sequence[Mapping[str, Any]],
    folder: Path,
    one: Callable[[Mapping[str, Any], Progress], list[dict[str, Any]]],
    mapping: CategoryMap,
    output: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
    quiet: bool,
) -> RunReport:
    """Run `one` over the items that are not done yet, and write the results of all."""
    for name in (name for item in items for name in _names(item)):
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing; the annotations name it")
    report = RunReport(mapping=mapping)
    key = fingerprint(segmenter, items, mapping, settings)
    with Journal(None if output is None else Path(output), key) as journal:
        todo = [item for item in items if item["id"] not in journal.done]
        report.resumed = len(items) - len(todo)
        progress = Progress(sum(len(_names(item)) for item in todo), quiet=quiet)
        start = time.perf_counter()
        try:
            for item in todo:
                journal.add(item["id"], one(item, progress))
        finally:
            progress.clear()
        report.frames, report.seconds = progress.frames, time.perf_counter() - start
        report.results = [entry for item in items for entry in journal.done[item["id"]]]
        if output is not None:
            with Output(output) as file:
                json.dump(report.results, file.open())
        journal.finished()
    return report


def fingerprint(
    segmenter: Segmenter,
    items: Sequence[Mapping[str, Any]],
    mapping: CategoryMap,
    settings: Mapping[str, Any],
) -> str:
    """What results depend on: weights, size, the set's items and categories, settings, version."""
    digest = hashlib.sha256()
    for name in sorted(segmenter.weights.tensors):
        digest.update(name.encode() + np.ascontiguousarray(segmenter.weights.tensors[name]).tobytes())
    size = segmenter.size if isinstance(segmenter.size, int) else list(segmenter.size)
    depends: list[Any] = [__version__, size, segmenter.color, segmenter.duplicate_iou]
    depends += [
        segmenter.parts,
        list(segmenter.classes),
        mapping.ids,
        segmenter.weights.mean,
        segmenter.weights.std,
        dict(settings),
    ]
    depends += [[item["id"], _names(item)] for item in items]
    digest.update(json.dumps(depends, sort_keys=True).encode())
    return digest.hexdigest()


class Journal:
    """Finished items of a run as JSON lines beside its output; a run with the same key goes on from it.

    done: results of each finished item. A line that was cut off by a crash is dropped, and so is a journal
    of another key: it belongs to other weights, settings or annotations.
    """

    def __init__(self, output: Path | None, key: str) -> None:
        self.done: dict[Any, list[dict[str, Any]]] = {}
        self.path = None if output is None else output.with_name(f"{output.name}.partial.jsonl")
        self._file: TextIO | None = None
        if self.path is None:
            return
        if self.path.is_file():
            self.done = self._read(self.path, key)
        with Output(self.path) as fresh:
            file = fresh.open()
            file.write(json.dumps({"key": key}) + "\n")
            for item, entries in self.done.items():
                file.write(json.dumps([item, entries]) + "\n")
        self._file = self.path.open("a", encoding="utf-8")

    @staticmethod
    def _read(path: Path, key: str) -> dict[Any, list[dict[str, Any]]]:
        done: dict[Any, list[dict[str, Any]]] = {}
        with path.open(encoding="utf-8", errors="replace") as file:
            try:
                if json.loads(next(file, "{}")).get("key") != key:
                    return {}
                for line in file:
                    item, entries = json.loads(line)
                    done[item] = entries
            except (ValueError, AttributeError, TypeError):
                pass
        return done

    def add(self, item: Any, entries: list[dict[str, Any]]) -> None:
        """Note an item as finished; on the disk when this returns, as far as the process is concerned."""
        self.done[item] = entries
        if self._file is not None:
            self._file.write(json.dumps([item, entries]) + "\n")
            self._file.flush()

    def finished(self) -> None:
        """The output is written: remove the journal."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
