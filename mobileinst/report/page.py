"""The page as HTML text; everything that it shows is in it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources

from .. import __version__
from .charts import class_css, counts_chart, timeline, track_css
from .pictures import Pictures
from .records import TrackRecord, VideoRecord


def page(
    title: str,
    video: VideoRecord,
    tracks: list[TrackRecord],
    pictures: Pictures,
    stages: Mapping[str, float] | None = None,
) -> str:
    """The whole page.

    Args:
        title: what the video is called.
        video: what was found in it.
        tracks: those that are shown, in order.
        pictures: of frames and tracks.
        stages: seconds that each stage of the run took, if known.
    """
    parts = [_head(title, video), _viewer(video, pictures)]
    parts.append(_classes(video))
    parts.append(_stages(stages, len(video.times)) if stages else "")
    parts.append(_tracks(video, tracks, pictures))
    style, script = (_file(name) for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: tracks</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body data-frames="{len(video.times)}">\n<main>\n{"".join(parts)}</main>\n'
        f'<p class="soft">mobileinst {__version__}</p>\n<script>\n{script}</script>\n</body>\n</html>\n'
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _head(title: str, video: VideoRecord) -> str:
    height, width = video.size
    facts = [
        f"{len(video.times)} frames of {width}x{height}",
        clock(video.seconds),
        f"{len(video.tracks)} track{'' if len(video.tracks) == 1 else 's'}",
    ]
    return f'<h1>{escape(title)}</h1>\n<p class="soft">{" · ".join(facts)}</p>\n'


def _viewer(video: VideoRecord, pictures: Pictures) -> str:
    if not pictures.frames:
        return '<p class="soft">No frame of the video could be shown.</p>\n'
    shots = []
    for number, uri in sorted(pictures.frames.items()):
        said = f"{clock(video.times[number])}, frame {number}: {_counted(video, number)}"
        shots.append(
            f'<button type="button" data-frame="{number}" title="{escape(said)}">'
            f'<img src="{uri}" alt="{escape(said)}"></button>'
        )
    buttons = [
        f'<button type="button" data-step="{step}" aria-label="{said} frame">{sign}</button>'
        for step, said, sign in ((-1, "earlier", "&#9664;"), (1, "later", "&#9654;"))
    ]
    return (
        f'<figure><img src="data:," alt=""><figcaption>{buttons[0]}<span aria-live="polite"></span>'
        f"{buttons[1]}</figcaption></figure>\n"
        f'<div class="strip" role="group" aria-label="frames">{"".join(shots)}</div>\n'
        '<p class="soft">Arrow keys step through the frames; a click on a timeline goes there.</p>\n'
    )


def _counted(video: VideoRecord, number: int) -> str:
    return ", ".join(f"{count} {name}" for name, count in video.counts[number].most_common()) or "nothing"


def _classes(video: VideoRecord) -> str:
    classes = video.classes
    rows = []
    for name in classes:
        counts = [counts[name] for counts in video.counts]
        tracks = sum(track.label == name for track in video.tracks.values())
        seen = sum(count > 0 for count in counts) / len(counts)
        key = f'<span class="key" style="background:{class_css(classes, name)}"></span>'
        rows.append(
            f"<tr><td>{key}{escape(name)}</td><td>{tracks}</td><td>{max(counts)}</td>"
            f"<td>{sum(counts) / len(counts):.2f}</td><td>{100 * seen:.0f} %</td></tr>"
        )
    if not rows:
        return "<h2>Classes</h2>\n<p>Nothing was found.</p>\n"
    table = _table(("class", "tracks", "most at once", "mean", "of frames"), rows)
    return f"<h2>Classes</h2>\n{table}\n{counts_chart(video)}\n{_axis(video)}"


def _table(columns: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _axis(video: VideoRecord) -> str:
    return f'<div class="axis"><span>{clock(0)}</span><span>{clock(video.seconds)}</span></div>\n'


def _stages(stages: Mapping[str, float], frames: int) -> str:
    total = sum(stages.values()) or 1.0
    rows = [
        f"<tr><td>{escape(name)}</td><td>{1000 * seconds / frames:.1f} ms</td><td>{seconds:.2f} s</td>"
        f'<td><div class="bar" style="width:{100 * seconds / total:.1f}%"></div></td></tr>'
        for name, seconds in stages.items()
    ]
    table = _table(("stage", "a frame", "in all", ""), rows)
    return f"<h2>Time per stage</h2>\n{table}\n"


def _tracks(video: VideoRecord, tracks: list[TrackRecord], pictures: Pictures) -> str:
    if not tracks:
        return ""
    more = len(video.tracks) - len(tracks)
    left = f'<p class="soft">{more} shorter tracks are not shown.</p>\n' if more else ""
    note = '<p class="soft">Line: score, 0 to 1. Filled: area, of its greatest. Bar: when it is seen.</p>\n'
    return f"<h2>Tracks</h2>\n{note}{''.join(_track(video, track, pictures) for track in tracks)}{left}"


def _track(video: VideoRecord, track: TrackRecord, pictures: Pictures) -> str:
    first, last = video.times[track.frames[0]], video.times[track.frames[-1]]
    name = f"#{track.id} {escape(track.label)}"
    picture = pictures.tracks.get(track.id)
    shown = f'<img src="{picture}" alt="{name}">' if picture else "<span></span>"
    return (
        f'<article class="track" style="--own:{track_css(track.id)}">{shown}<div><h3>{name}</h3>'
        f"<p>{clock(first)} to {clock(last)}, {len(track.frames)} frames</p>"
        f"<p>score {track.mean_score:.2f}, area up to {100 * max(track.areas):.1f} %</p></div>"
        f"{timeline(video, track)}</article>\n"
    )


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are some.

    Example:
        >>> clock(75.25), clock(3675)
        ('1:15.2', '1:01:15.0')
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
