"""From a source of frames through a Segmenter into files: what `mobileinst track` and `segment` do."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .drawing import Overlay
from .export import Sink, export_formats, owner_map
from .export.annotations import AnnotationFolder
from .io.interrupt import Interrupt
from .io.png import write_png
from .io.progress import Progress
from .results import Instances
from .segmenter import Segmenter
from .tracking import Tracker
from .video import IMAGE_SUFFIXES, FolderSource, FrameSource, VideoError, read_image

STDOUT = "-"


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


def track(
    source: FrameSource,
    segmenter: Segmenter,
    outputs: Mapping[str, str | os.PathLike[str]],
    *,
    tracker: Tracker | None = None,
    keyframe_every: int = 3,
    score_threshold: float | None = None,
    max_frames: int | None = None,
    overlay: Overlay | None = None,
    quiet: bool = False,
    report: Callable[[int], None] | None = None,
) -> Summary:
    """Track a source into files.

    A source that fails, or an interruption, ends the run but keeps what was done: the files are finished
    and `Summary.stopped` says why. After any other exception, or without a single frame, they are removed.

    Args:
        source: from `mobileinst.video.open_source`.
        outputs: the path for each format, by the names of `export_formats("track")`.
        max_frames: where to stop.
        overlay: how frames are drawn. quiet: show no progress on standard error.
        report: called after each frame with the number of those done.
        tracker, keyframe_every, score_threshold: as for `Segmenter.track`.

    Raises:
        VideoError: if two outputs are one file, an output is the source, or there is no frame.
    """
    stream = segmenter.stream(keyframe_every=keyframe_every, score_threshold=score_threshold, tracker=tracker)
    overlay = overlay or Overlay()
    sinks = _open_sinks("track", outputs, source)
    summary = Summary()
    progress = Progress(_least(source.count, max_frames), quiet=quiet)
    try:
        frames = iter(source)
        with Interrupt() as interrupt:
            while max_frames is None or summary.frames < max_frames:
                try:
                    frame = next(frames, None)
                except VideoError as error:
                    summary.stopped = error
                    break
                if frame is None:
                    break
                instances = stream.step(frame.image)
                _write(sinks, overlay, frame.image, instances, summary.frames, frame.time)
                summary.frames += 1
                summary.tracks.update(zip(instances.ids.tolist(), instances.names, strict=True))
                progress.step(counted(instances.names, "instance"))
                if report is not None:
                    report(summary.frames)
                if interrupt.asked:
                    summary.stopped = KeyboardInterrupt()
                    break
        summary.rate = progress.rate
        if not summary.frames:
            raise summary.stopped or VideoError(f"{source.name}: contains no frame")
        for sink in sinks:
            sink.finish()
    except BaseException:
        _discard(sinks)
        raise
    finally:
        progress.clear()
    return summary


def segment(
    paths: Sequence[Path],
    segmenter: Segmenter,
    folder: Path,
    outputs: Mapping[str, str | os.PathLike[str]],
    *,
    masks: bool = False,
    annotations: AnnotationFolder | None = None,
    score_threshold: float | None = None,
    overlay: Overlay | None = None,
) -> Iterator[tuple[Path, Instances | VideoError, Path | None]]:
    """Segment images; yields each path with its instances (or what is wrong with it) and its overlay's path.

    Overlays go to `folder` as <name>-segmented.png, with `masks` also <name>-masks.png (16 bit, the number
    of the instance that owns a pixel). `outputs` has the path for each format, by the names of
    `export_formats("segment")`. `annotations` gets every image that could be read.
    """
    _check_distinct(outputs, paths)
    folder.mkdir(parents=True, exist_ok=True)
    overlay = overlay or Overlay()
    sinks = _open_sinks("segment", outputs)
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
            place = folder / f"{stem}-segmented.png"
            write_png(place, overlay.draw(image, instances))
            if masks:
                write_png(folder / f"{stem}-masks.png", owner_map(instances).astype(np.uint16))
            if annotations is not None:
                annotations.add(path, instances)
            _write(sinks, overlay, image, instances, number, 0.0, path.name)
            yield path, instances, place
        for sink in sinks:
            sink.finish()
        if annotations is not None:
            annotations.finish()
    except BaseException:
        _discard(sinks)
        if annotations is not None:
            annotations.discard()
        raise


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


def counted(names: Iterable[str], what: str) -> str:
    """How many things and of which kinds, as "3 tracks (2 person, 1 animal)"."""
    counts = Counter(names)
    total = sum(counts.values())
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return f"{total} {what}{'' if total == 1 else 's'}" + (f" ({kinds})" if kinds else "")


def _open_sinks(
    command: str, outputs: Mapping[str, str | os.PathLike[str]], source: FrameSource | None = None
) -> list[Sink]:
    """The sinks of the outputs, all or none."""
    formats = export_formats(command)
    if source is not None:
        _check_distinct(outputs, [source.name, *(source.paths if isinstance(source, FolderSource) else [])])
    sinks: list[Sink] = []
    try:
        for name, path in outputs.items():
            if name not in formats:
                raise ValueError(f"expected formats among {', '.join(formats)}; got {name!r}")
            sinks.append(formats[name].sink.open(os.fspath(path), source))
    except BaseException:
        _discard(sinks)
        raise
    return sinks


def _write(
    sinks: Sequence[Sink],
    overlay: Overlay,
    image: NDArray[np.uint8],
    instances: Instances,
    number: int,
    time: float,
    name: str | None = None,
) -> None:
    wanted = any(sink.wants_overlay(instances) for sink in sinks)
    drawn = overlay.draw(image, instances) if wanted else None
    for sink in sinks:
        sink.write(number, time, instances, name, drawn)


def _discard(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.discard()


def file_names(outputs: Mapping[str, str | os.PathLike[str]]) -> list[str]:
    """The files and folders among the outputs: all but standard output."""
    return [os.fspath(path) for path in outputs.values() if os.fspath(path) != STDOUT]


def _check_distinct(
    outputs: Mapping[str, str | os.PathLike[str]], sources: Iterable[str | os.PathLike[str]]
) -> None:
    """Raise VideoError if two outputs are one file, or an output is a source."""
    given = file_names(outputs)
    names = [os.path.realpath(name) for name in given]
    if len(set(names)) < len(names):
        raise VideoError(f"outputs must differ, got {', '.join(given)}")
    for source in sources:
        if os.path.realpath(source) in names:
            raise VideoError(f"{source} is the source, it can't be an output too")


def _free_stem(folder: Path, stem: str, taken: set[str]) -> str:
    """`stem`, or `stem`-2 and so on, so that no overlay replaces an image or another's overlay."""
    for name in itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2))):
        files = {os.path.realpath(folder / f"{name}-{kind}.png") for kind in ("segmented", "masks")}
        if not files & taken:
            break
    taken |= files
    return name


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)
