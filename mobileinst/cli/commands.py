"""What `mobileinst track` and `mobileinst segment` do, behind their arguments."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..drawing.overlay import draw
from ..export import JsonLinesSink, MotsSink, PngMaskSink, Sink, YoutubeVisSink, coco_results, owner_map
from ..export.annotations import AnnotationFolder
from ..io.files import Output, check_writable
from ..io.png import write_png
from ..io.progress import Progress
from ..results import Instances
from ..segmenter import Segmenter
from ..tracking import Tracker
from ..video import IMAGE_SUFFIXES, FolderSource, Frame, FrameSource, VideoError, read_image
from ..video.writer import VideoWriter
from .interrupt import Interrupt

PICTURE_SUFFIXES = (".jpeg", ".jpg", ".png")


@dataclass
class Style:
    """How overlays are drawn: see `mobileinst.draw.draw`."""

    boxes: bool = False
    labels: bool = True

    def draw(self, image: NDArray[np.uint8], instances: Instances) -> NDArray[np.uint8]:
        return draw(image, instances, boxes=self.boxes, labels=self.labels)


@dataclass
class TrackOutputs:
    """Files that a tracked source is written to; None leaves one out."""

    video: Path | None = None
    picture: Path | None = None
    json: str | None = None
    youtube_vis: Path | None = None
    mots: Path | None = None
    masks: Path | None = None

    def names(self) -> list[str]:
        chosen = (self.video, self.picture, self.json, self.youtube_vis, self.mots, self.masks)
        return [str(path) for path in chosen if path is not None and str(path) != "-"]


@dataclass
class Summary:
    """What a run did. `stopped` says why it ended before its source did."""

    frames: int = 0
    rate: float = 0.0
    tracks: dict[int, str] = field(default_factory=dict)
    stopped: VideoError | KeyboardInterrupt | None = None

    def __str__(self) -> str:
        frames = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        return f"{frames}, {counted(self.tracks.values(), 'track')}, {self.rate:.1f} frames/s"


class PictureSink:
    """Keeps the overlay of the frame that shows most (greatest sum of scores) and writes it at the end."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise VideoError(f"{path}: expected a picture's name that ends in {', '.join(PICTURE_SUFFIXES)}")
        if path.suffix.lower() != ".png":
            _import_pillow()
        check_writable(path)
        self._path = path
        self._best = -1.0
        self._picture: NDArray[np.uint8] | None = None

    def wants(self, instances: Instances) -> bool:
        """Whether this frame shows more than those before."""
        return float(instances.scores.sum()) > self._best

    def write(self, picture: NDArray[np.uint8], instances: Instances) -> None:
        self._best, self._picture = float(instances.scores.sum()), picture

    def finish(self) -> None:
        if self._picture is not None:
            write_picture(self._path, self._picture)


def track(
    source: FrameSource,
    segmenter: Segmenter,
    outputs: TrackOutputs,
    *,
    tracker: Tracker | None = None,
    keyframe_every: int = 3,
    score_threshold: float | None = None,
    max_frames: int | None = None,
    style: Style | None = None,
    quiet: bool = False,
) -> Summary:
    """Track a source into files.

    A source that fails, or an interruption, ends the run but keeps what was done: the files are finished
    and `Summary.stopped` says why. After any other exception, or without a single frame, they are removed.
    """
    sinks = _Outputs(outputs, source, style or Style())
    summary = Summary()
    progress = Progress(_least(source.count, max_frames), quiet=quiet)
    try:
        stream = _follow(source, segmenter, tracker, keyframe_every, score_threshold)
        with Interrupt() as interrupt:
            while max_frames is None or summary.frames < max_frames:
                try:
                    step = next(stream, None)
                except VideoError as error:
                    summary.stopped = error
                    break
                if step is None:
                    break
                sinks.write(summary.frames, *step)
                summary.frames += 1
                summary.tracks.update(zip(step[1].ids.tolist(), step[1].names, strict=True))
                progress.step(counted(step[1].names, "instance"))
                if interrupt.asked:
                    summary.stopped = KeyboardInterrupt()
                    break
        summary.rate = progress.rate
        if not summary.frames:
            raise summary.stopped or VideoError(f"{source.name}: contains no frame")
        sinks.finish()
    except BaseException:
        sinks.discard()
        raise
    finally:
        progress.clear()
    return summary


def segment(
    paths: Sequence[Path],
    segmenter: Segmenter,
    folder: Path,
    *,
    json_lines: str | None = None,
    coco: Path | None = None,
    masks: bool = False,
    annotations: AnnotationFolder | None = None,
    score_threshold: float | None = None,
    style: Style | None = None,
) -> Iterator[tuple[Path, Instances | VideoError, Path | None]]:
    """Segment images; yields each path with its instances (or what is wrong with it) and its overlay's path.

    Overlays go to `folder` as <name>-segmented.png, with `masks` also <name>-masks.png (16 bit, the number
    of the instance that owns a pixel). A COCO file takes the number in a file's name as its image id, or
    the image's place in the list. `annotations` gets every image that could be read.
    """
    check_distinct([str(path) for path in (json_lines, coco) if path not in (None, "-")], paths)
    folder.mkdir(parents=True, exist_ok=True)
    if coco is not None:
        check_writable(coco)
    style = style or Style()
    json_sink = JsonLinesSink(json_lines) if json_lines is not None else None
    entries: list[dict[str, Any]] = []
    taken = {os.path.realpath(path) for path in paths}
    try:
        for number, path in enumerate(paths):
            try:
                image = read_image(path)
            except VideoError as error:
                yield path, error, None
                continue
            instances = segmenter.segment(image, score_threshold)
            stem = _free_stem(folder, path.stem, taken)
            overlay = folder / f"{stem}-segmented.png"
            write_png(overlay, style.draw(image, instances))
            if masks:
                write_png(folder / f"{stem}-masks.png", owner_map(instances).astype(np.uint16))
            if annotations is not None:
                annotations.add(path, instances)
            if json_sink is not None:
                json_sink.write(number, 0.0, instances, path.name)
            if coco is not None:
                image_id = int(path.stem) if path.stem.isdecimal() else number + 1
                entries.extend(coco_results(instances, image_id))
            yield path, instances, overlay
        if coco is not None:
            _write_json(coco, entries)
        if annotations is not None:
            annotations.finish()
    except BaseException:
        if json_sink is not None:
            json_sink.discard()
        if annotations is not None:
            annotations.discard()
        raise
    if json_sink is not None:
        json_sink.finish()


def _free_stem(folder: Path, stem: str, taken: set[str]) -> str:
    """`stem`, or `stem`-2 and so on, so that no overlay replaces an image or another's overlay."""
    for name in itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2))):
        files = {os.path.realpath(folder / f"{name}-{kind}.png") for kind in ("segmented", "masks")}
        if not files & taken:
            break
    taken |= files
    return name


def check_distinct(outputs: Sequence[str], sources: Sequence[str | Path]) -> None:
    """Raise VideoError if two outputs are one file, or an output is a source."""
    names = [os.path.realpath(name) for name in outputs]
    if len(set(names)) < len(names):
        raise VideoError(f"outputs must differ, got {', '.join(outputs)}")
    for source in sources:
        if os.path.realpath(source) in names:
            raise VideoError(f"{source} is the source, it can't be an output too")


def image_paths(sources: Sequence[str]) -> list[Path]:
    """Images by path, and all images of folders in natural order."""
    paths: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            paths.extend(FolderSource(source).paths)
        elif source.suffix.lower() not in IMAGE_SUFFIXES and source.exists():
            raise VideoError(f"{source}: expected an image ({', '.join(IMAGE_SUFFIXES)}) or a folder of them")
        else:
            paths.append(source)
    return paths


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image as PNG, or as JPEG by Pillow; the suffix says which."""
    if path.suffix.lower() == ".png":
        write_png(path, image)
        return
    pillow = _import_pillow()
    with Output(path) as output:
        pillow.fromarray(image).save(output.open("wb"), format="JPEG", quality=92)


def _import_pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f'JPEG needs Pillow: pip install "mobileinst[image]" ({error})') from None
    return Image


class _Outputs:
    """All outputs of one run as one."""

    def __init__(self, outputs: TrackOutputs, source: FrameSource, style: Style) -> None:
        pictures = source.paths if isinstance(source, FolderSource) else []
        check_distinct(outputs.names(), [source.name, *pictures])
        self._style = style
        self._sinks: list[Sink] = []
        self._video: VideoWriter | None = None
        self._picture = PictureSink(outputs.picture) if outputs.picture is not None else None
        try:
            if outputs.video is not None:
                self._video = VideoWriter(outputs.video, source.rate)
            if outputs.json is not None:
                self._sinks.append(JsonLinesSink(outputs.json))
            if outputs.youtube_vis is not None:
                self._sinks.append(YoutubeVisSink(outputs.youtube_vis))
            if outputs.mots is not None:
                self._sinks.append(MotsSink(outputs.mots))
            if outputs.masks is not None:
                self._sinks.append(PngMaskSink(outputs.masks))
        except BaseException:
            self.discard()
            raise

    def write(self, number: int, frame: Frame, instances: Instances) -> None:
        for sink in self._sinks:
            sink.write(number, frame.time, instances)
        wanted = self._picture is not None and self._picture.wants(instances)
        if self._video is not None or wanted:
            overlay = self._style.draw(frame.image, instances)
            if self._video is not None:
                self._video.write(overlay, frame.time)
            if self._picture is not None and wanted:
                self._picture.write(overlay, instances)

    def finish(self) -> None:
        if self._video is not None:
            self._video.close()
        for sink in self._sinks:
            sink.finish()
        if self._picture is not None:
            self._picture.finish()

    def discard(self) -> None:
        if self._video is not None:
            self._video.discard()
        for sink in self._sinks:
            sink.discard()


def _follow(
    source: FrameSource,
    segmenter: Segmenter,
    tracker: Tracker | None,
    keyframe_every: int,
    score_threshold: float | None,
) -> Iterator[tuple[Frame, Instances]]:
    """Frames with their instances; only the frame at work is held."""
    current: list[Frame] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        for frame in source:
            current[:] = [frame]
            yield frame.image

    stream = segmenter.track(
        images(), keyframe_every=keyframe_every, score_threshold=score_threshold, tracker=tracker
    )
    for instances in stream:
        yield current[0], instances


def counted(names: Any, what: str) -> str:
    counts = Counter(names)
    total = sum(counts.values())
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return f"{total} {what}{'' if total == 1 else 's'}" + (f" ({kinds})" if kinds else "")


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def _write_json(path: Path, value: Any) -> None:
    with Output(path) as output:
        json.dump(value, output.open(), separators=(",", ":"))
