"""From JSON lines and their video to the page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..io.files import Output, check_outputs
from ..video import open_source
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
    check_outputs([output], [lines, *open_source(video).files()])
    record = read_video_record(lines)
    count = len(record.times)
    strip = sorted({round(i * (count - 1) / max(frames - 1, 1)) for i in range(min(frames, count))})
    longest = sorted(record.tracks.values(), key=lambda track: len(track.frames), reverse=True)
    shown = sorted(longest[:most_tracks], key=lambda track: (track.frames[0], track.id))
    with Output(output) as file:
        pictures = take_pictures(video, lines, record, strip)
        file.open().write(page(Path(video).name, record, shown, pictures, stages))


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
