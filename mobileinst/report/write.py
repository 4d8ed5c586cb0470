"""From JSON lines and their video to the page."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..io.files import Output, check_outputs, is_plain
from ..video import FrameSource, open_source
from .page import page
from .pictures import take_pictures
from .records import read_video_record


def write_report(
    lines: str | os.PathLike[str],
    video: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    stages: Mapping[str, float] | None = None,
    frames: int = 24,
    most_tracks: int = 200,
) -> None:
    """Write one HTML page, which needs no other file and no network.

    Args:
        lines: what `mobileinst track --json` wrote.
        video: the video, or folder of images, that was tracked.
        output: the page.
        stages: seconds that each stage of the run took, as `mobileinst track --timings` writes them.
        frames: how many frames of the video the page shows.
        most_tracks: the longest so many tracks are shown.

    Raises:
        VideoError: if the video can't be read. ValueError: if the lines aren't what they should be, or belong
            to another video. OSError: for files that can't be read or written.
    """
    source = open_source(video)
    check_outputs([output], [lines, *source.files()])
    with _reread(lines) as path, Output(output) as file:
        file.open().write(_page(path, source, stages, frames, most_tracks))


def _page(
    lines: str | os.PathLike[str],
    source: FrameSource,
    stages: Mapping[str, float] | None,
    frames: int,
    most_tracks: int,
) -> str:
    record = read_video_record(lines)
    count = len(record.times)
    strip = sorted({round(i * (count - 1) / max(frames - 1, 1)) for i in range(min(frames, count))})
    longest = sorted(record.tracks.values(), key=lambda track: len(track.frames), reverse=True)
    shown = sorted(longest[:most_tracks], key=lambda track: (track.frames[0], track.id))
    pictures = take_pictures(source, lines, record, strip)
    return page(Path(source.name).name, record, shown, pictures, stages)


@contextmanager
def _reread(path: str | os.PathLike[str]) -> Iterator[str | os.PathLike[str]]:
    """The file itself, or a copy of what a pipe gives once."""
    if is_plain(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as copy, open(path, "rb") as pipe:
        shutil.copyfileobj(pipe, copy)
        copy.flush()
        yield copy.name


def read_stages(path: str | os.PathLike[str]) -> dict[str, float]:
    """Seconds by stage from a file of `mobileinst track --timings`.

    Raises:
        ValueError: if it isn't such a file.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return {str(name): float(seconds) for name, seconds in data["seconds"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected timings of mobileinst track: {error!r}") from None
