"""Charts of the page as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..drawing.palette import PALETTE, track_color
from .records import TrackRecord, VideoRecord

#: Points of a curve at most; more can't be seen.
_POINTS = 240
_WIDTH = 1000


def track_css(track: int) -> str:
    """The color of a track for CSS."""
    return "#{:02x}{:02x}{:02x}".format(*track_color(track))


def class_css(classes: Sequence[str], name: str) -> str:
    """The color of a class for CSS."""
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[(classes.index(name) + 4) % len(PALETTE)])


def timeline(video: VideoRecord, track: TrackRecord) -> str:
    """When a track is seen (bar), its score (line, 0 to 1) and its area (filled, of its greatest)."""
    x = _axis(video)
    color, most = track_css(track.id), max(track.areas)
    step = 1 / len(video.times)
    bars, lines, fills = [], [], []
    for start, stop in _runs(track.frames):
        left, right = x[track.frames[start]], x[track.frames[stop - 1]] + _WIDTH * step
        bars.append(f'<rect x="{left:.1f}" y="72" width="{max(right - left, 2):.1f}" height="8"/>')
        chosen = _thinned(start, stop)
        score = [f"{x[track.frames[i]]:.1f},{64 - 60 * track.scores[i]:.1f}" for i in chosen]
        area = [f"{x[track.frames[i]]:.1f},{64 - 60 * track.areas[i] / most:.1f}" for i in chosen]
        lines.append(f'<polyline points="{" ".join(score)}"/>')
        ends = f"{x[track.frames[chosen[-1]]]:.1f},64 {x[track.frames[chosen[0]]]:.1f},64"
        fills.append(f'<polygon points="{" ".join(area)} {ends}"/>')
    said = f"{track.label} {track.id}: score {min(track.scores):.2f} to {max(track.scores):.2f}"
    return (
        f'<svg class="line" viewBox="0 0 {_WIDTH} 84" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}"><path class="grid" d="M0 4H{_WIDTH}M0 34H{_WIDTH}M0 64H{_WIDTH}"/>'
        f'<g fill="{color}" opacity=".35">{"".join(fills)}</g><g class="score">{"".join(lines)}</g>'
        f'<g fill="{color}">{"".join(bars)}</g></svg>'
    )


def counts_chart(video: VideoRecord) -> str:
    """How many instances of each class there are over time."""
    x, classes = _axis(video), video.classes
    most = max((count for counts in video.counts for count in counts.values()), default=0) or 1
    lines = []
    for name in classes:
        points = [
            f"{x[i]:.1f},{104 - 100 * max(video.counts[j][name] for j in range(i, stop)) / most:.1f}"
            for i, stop in _windows(len(video.times))
        ]
        lines.append(f'<polyline stroke="{class_css(classes, name)}" points="{" ".join(points)}"/>')
    said = f"up to {most} at once"
    return (
        f'<svg class="counts" viewBox="0 0 {_WIDTH} 108" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}"><path class="grid" d="M0 4H{_WIDTH}M0 54H{_WIDTH}M0 104H{_WIDTH}"/>'
        f"{''.join(lines)}</svg>"
    )


def _axis(video: VideoRecord) -> list[float]:
    first, span = video.times[0], max(video.seconds, 1e-9) * len(video.times) / max(len(video.times) - 1, 1)
    return [_WIDTH * (time - first) / span for time in video.times]


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Start and stop of the stretches of frames that follow each other."""
    cuts = [i for i in range(1, len(frames)) if frames[i] != frames[i - 1] + 1]
    return list(zip([0, *cuts], [*cuts, len(frames)], strict=True))


def _thinned(start: int, stop: int) -> list[int]:
    step = max(1, (stop - start) // _POINTS)
    return [*range(start, stop - 1, step), stop - 1]


def _windows(count: int) -> list[tuple[int, int]]:
    step = max(1, count // _POINTS)
    return [(i, min(i + step, count)) for i in range(0, count, step)]
