"""From a source of frames through a Segmenter into files: what `mobileinst track` and `segment` do."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .drawing import Overlay
from .export import FrameResult, Sink, export_formats, id_picture, owner_map
from .export.annotations import AnnotationFolder
from .export.at_end import AtEndSink
from .io.files import check_outputs, numbered_stems
from .io.interrupt import Interrupt
from .io.png import encode_png
from .io.progress import Progress
from .io.signals import hold_signals
from .io.staged import StagedFolder
from .io.stopwatch import Stopwatch
from .results import Instances
from .segmenter import Segmenter
from .tracking import Tracker
from .video import IMAGE_SUFFIXES, FolderSource, Frame, FrameSource, VideoError, read_image
from .zones import ZoneCounter, counts_suffix

log = logging.getLogger(__name__)

STDOUT = "-"


@dataclass
class Summary:
    """What a run did.

    tracks: class of each track by its id. stopped: why it ended before its source did. dropped: frames that
    a live source left out. seconds: time by stage.
    """

    frames: int = 0
    rate: float = 0.0
    tracks: dict[int, str] = field(default_factory=dict)
    stopped: VideoError | KeyboardInterrupt | None = None
    dropped: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        frames = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        dropped = f" ({self.dropped} dropped)" if self.dropped else ""
        return f"{frames}{dropped}, {counted(self.tracks.values(), 'track')}, {self.rate:.1f} frames/s"


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
    zones: ZoneCounter | None = None,
    sinks: Sequence[Sink] = (),
    quiet: bool = False,
    report: Callable[[int], None] | None = None,
) -> Summary:
    """Track a source into files.

    A source that fails, or an interruption, ends the run but keeps what was done: the files are finished
    and `Summary.stopped` says why. After any other exception, or without a single frame, they are removed.

    Args:
        source: from `mobileinst.video.open_source`.
        outputs: the path for each format, by the names of `export_formats("track")`; for "counts", what
            `zones` counts (.csv or .json), and for "timings", the seconds of each stage (JSON).
        max_frames: where to stop.
        overlay: how frames are drawn. quiet: show no progress on standard error.
        report: called after each frame with the number of those done.
        zones: lines and zones at which tracks are counted; they are drawn, too.
        sinks: further ones, which are finished or discarded with those of the outputs.
        tracker, keyframe_every, score_threshold: as for `Segmenter.track`.

    Raises:
        VideoError: if two outputs are one file, an output is the source, or there is no frame.
    """
    stream = segmenter.stream(keyframe_every=keyframe_every, score_threshold=score_threshold, tracker=tracker)
    overlay = overlay or Overlay()
    _check_outputs(outputs, [*source.files(), *_weights_files(segmenter)])
    watch = Stopwatch()
    summary = Summary(seconds=watch.seconds)
    texts = {"timings": lambda: json.dumps({"frames": summary.frames, "seconds": watch.seconds}, indent=1)}
    if zones is not None and "counts" in outputs:
        texts["counts"] = partial(zones.to_text, counts_suffix(outputs["counts"]))
    sinks = [*_open_sinks("track", outputs, source, texts), *sinks]
    known = [count for count in (source.count, max_frames) if count is not None]
    progress = Progress(min(known, default=None), quiet=quiet)
    try:
        with Interrupt(source.cancel) as interrupt:
            for frame in _frames(source, max_frames, summary):
                watch.lap("read")
                instances = stream.step(frame.image)
                watch.lap("segment and track")
                if zones is not None:
                    zones.update(instances, frame.time)
                drawn = _drawn(sinks, overlay, frame.image, instances, zones)
                watch.lap("draw")
                result = FrameResult(summary.frames, frame.time, instances, overlay=drawn)
                for sink in sinks:
                    sink.write(result)
                summary.frames += 1
                summary.tracks.update(zip(instances.ids.tolist(), instances.names, strict=True))
                summary.dropped = getattr(source, "dropped", 0)
                dropped = f"{summary.dropped} dropped, " if summary.dropped else ""
                progress.step(dropped + counted(instances.names, "instance"))
                if report is not None:
                    report(summary.frames)
                watch.lap("write")
                if interrupt.asked:
                    break
        if interrupt.asked:
            summary.stopped = KeyboardInterrupt()
        summary.rate = progress.rate
        if not summary.frames:
            raise summary.stopped or VideoError(f"{source.name}: contains no frame")
        _finish(sinks)
    except BaseException:
        _discard(sinks)
        raise
    finally:
        progress.clear()
    return summary


def _frames(source: FrameSource, most: int | None, summary: Summary) -> Iterator[Frame]:
    """The frames of a source, so many at most; why it failed goes into the summary."""
    try:
        yield from itertools.islice(source, most)
    except VideoError as error:
        summary.stopped = error


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

    All files appear together at the end. An interruption (Ctrl-C) ends the run after the image at work, keeps
    what was done and is raised again as KeyboardInterrupt; after any other exception nothing is left, and
    results of an earlier run stay.
    """
    read: list[Path] = [*paths, *_weights_files(segmenter)]
    _check_outputs(outputs, read)
    overlay = overlay or Overlay()
    taken = {os.path.realpath(path) for path in [*map(os.fspath, read), *file_names(outputs)]}
    pictures = StagedFolder(folder)
    whole: list[Sink | StagedFolder | AnnotationFolder] = [pictures]
    try:
        sinks = _open_sinks("segment", outputs)
        whole += [*sinks, *([] if annotations is None else [annotations])]
        with Interrupt() as interrupt:
            for number, path in enumerate(paths):
                if interrupt.asked:
                    break
                try:
                    image = read_image(path)
                except VideoError as error:
                    yield path, error, None
                    continue
                instances = segmenter.segment(image, score_threshold)
                stem = _free_stem(folder, path.stem, taken)
                pictures.write(f"{stem}-segmented.png", encode_png(overlay.draw(image, instances)))
                if masks:
                    pictures.write(f"{stem}-masks.png", encode_png(id_picture(owner_map(instances))))
                if annotations is not None:
                    annotations.add(path, instances)
                drawn = _drawn(sinks, overlay, image, instances)
                for sink in sinks:
                    sink.write(FrameResult(number, 0.0, instances, path.name, drawn))
                yield path, instances, folder / f"{stem}-segmented.png"
        _finish(whole)
    except BaseException:
        _discard(whole)
        raise
    if interrupt.asked:
        raise KeyboardInterrupt


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
    command: str,
    outputs: Mapping[str, str | os.PathLike[str]],
    source: FrameSource | None = None,
    texts: Mapping[str, Callable[[], str]] | None = None,
) -> list[Sink]:
    """The sinks of the outputs, all or none. `texts` makes those that are written at the end."""
    texts = texts or {}
    formats = export_formats(command)
    sinks: list[Sink] = []
    try:
        for name, path in outputs.items():
            if name in texts:
                sinks.append(AtEndSink(path, texts[name]))
            elif name in formats:
                sinks.append(formats[name].sink.open(os.fspath(path), source))
            else:
                raise ValueError(f"expected formats among {', '.join([*formats, *texts])}; got {name!r}")
    except BaseException:
        _discard(sinks)
        raise
    return sinks


def _drawn(
    sinks: Sequence[Sink],
    overlay: Overlay,
    image: NDArray[np.uint8],
    instances: Instances,
    zones: ZoneCounter | None = None,
) -> NDArray[np.uint8] | None:
    """The frame with all that is drawn on it, if a sink wants it."""
    if not any(sink.wants_overlay(instances) for sink in sinks):
        return None
    drawn = overlay.draw(image, instances)
    return drawn if zones is None else zones.draw(drawn)


def _finish(sinks: Sequence[Sink | StagedFolder | AnnotationFolder]) -> None:
    """All or none: what can fail comes first, and no signal comes between the names."""
    for sink in sinks:
        sink.complete()
    with hold_signals():
        for sink in sinks:
            sink.finish()


def _discard(sinks: Sequence[Sink | StagedFolder | AnnotationFolder]) -> None:
    for sink in reversed(sinks):  # folders within others first
        try:
            sink.discard()
        except Exception:  # the others are to be removed too, and the first error is the one to show
            log.debug("an output can't be removed", exc_info=True)


def file_names(outputs: Mapping[str, str | os.PathLike[str]]) -> list[str]:
    """The files and folders among the outputs: all but standard output."""
    return [os.fspath(path) for path in outputs.values() if os.fspath(path) != STDOUT]


def _weights_files(segmenter: Segmenter) -> list[Path]:
    """The file of the weights; none for what only stands for a Segmenter, as a replay of results does."""
    weights = getattr(segmenter, "weights", None)
    return [] if weights is None else weights.files


def _check_outputs(
    outputs: Mapping[str, str | os.PathLike[str]], inputs: Sequence[str | os.PathLike[str]]
) -> None:
    """Raise VideoError if two outputs are one file, or an output is an input or would replace one."""
    try:
        check_outputs(file_names(outputs), inputs)
    except ValueError as error:
        raise VideoError(str(error)) from None
    if "masks" not in outputs:
        return
    folder = os.path.realpath(outputs["masks"])
    there = [source for source in inputs if os.path.dirname(os.path.realpath(source)) == folder]
    images = [source for source in there if Path(source).suffix.lower() in IMAGE_SUFFIXES]
    # Pictures of masks are named by their frame; in a folder of images they would be taken for some of these.
    named = [source for source in there if re.fullmatch(r"[0-9]{6,}\.png", os.path.basename(source))]
    for source in named or (images if len(images) > 1 else []):
        raise VideoError(f"{outputs['masks']} holds the source {source}, its masks can't go there")


def _free_stem(folder: Path, stem: str, taken: set[str]) -> str:
    """`stem`, or `stem`-2 and so on, so that no overlay replaces an image or another's overlay."""
    for name in numbered_stems(stem, "-segmented.png"):
        files = {os.path.realpath(folder / f"{name}-{kind}.png") for kind in ("segmented", "masks")}
        if not files & taken:
            break
    taken |= files
    return name
