"""Which tracks cross which lines and stay in which zones, frame by frame."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_number
from ..io.files import Output
from ..results import NO_ID, Instances
from .places import Line, Zone

ANCHORS = ("bottom", "center")

#: Seconds after which what is known of a track that is gone is forgotten.
_MEMORY = 60.0


@dataclass(frozen=True)
class ZoneEvent:
    """What happened: `event` is "in" or "out" at a line, "enter" or "leave" at a zone.

    frame counts from 0, time is in seconds; place is the line's or zone's name; seconds says, when a track
    leaves a zone, how long it was there.
    """

    frame: int
    time: float
    place: str
    event: str
    id: int
    label: str
    seconds: float | None = None


class _Frame(NamedTuple):
    """A frame: where its tracks stand and what they are, by id; its time and size."""

    points: dict[int, tuple[NDArray[np.float64], str]]
    time: float
    size: tuple[int, int]


@dataclass
class _Approach:
    """Where a track clearly was beside a line, where it is, and whether it crossed the line since."""

    right: bool
    at: NDArray[np.float64]
    seen: float
    crossed: bool = False


@dataclass
class _Visit:
    id: int
    label: str
    enter: float
    last: float
    left: bool = False

    def to_dict(self) -> dict[str, Any]:
        own = {"id": self.id, "label": self.label, "enter": self.enter}
        return own | {"leave": self.last if self.left else None, "seconds": round(self.last - self.enter, 3)}


@dataclass
class _State:
    """What is known about one line or zone."""

    approaches: dict[int, _Approach] = field(default_factory=dict)
    crossings: Counter[tuple[str, str]] = field(default_factory=Counter)
    inside: dict[int, _Visit] = field(default_factory=dict)
    visits: list[_Visit] = field(default_factory=list)
    most: int = 0


class ZoneCounter:
    """Counts tracks at lines and in zones of one video; instances without a track are not counted.

    Args:
        lines, zones: what to watch. Names that occur twice are numbered.
        anchor: the point of an instance that counts: "bottom", the middle of its box's lower edge, where it
            stands; or "center", the middle of its box, for views from above.
        margin: how far a track must get from a line for its side to count, as a share of the frame's
            shorter side. Up: who dithers on the line is not counted again and again.
        patience: seconds that a track may be outside of a zone, or not be seen, without having left. Up:
            fewer interrupted visits; departures are known later.

    Attributes:
        events: all that happened so far, `ZoneEvent` in order.

    Raises:
        ValueError: for an option out of range.

    Example:
        >>> counter = ZoneCounter([Line((0, 5), (9, 5))])
        >>> for row in (2, 7):
        ...     mask = np.zeros(100, np.uint32).reshape(10, 10)
        ...     runs = [40 + row, 1, 59 - row]  # One pixel in column 4.
        ...     happened = counter.update(Instances((10, 10), [runs], [1], [0], ["ant"], [1]), row)
        >>> happened[0].event, counter.crossed("line")
        ('in', (1, 0))
    """

    def __init__(
        self,
        lines: Sequence[Line] = (),
        zones: Sequence[Zone] = (),
        *,
        anchor: str = "bottom",
        margin: float = 0.01,
        patience: float = 1.0,
    ) -> None:
        if anchor not in ANCHORS:
            raise ValueError(f"anchor must be one of {', '.join(ANCHORS)}, got {anchor!r}")
        self.anchor = anchor
        self.margin = check_number("margin", margin, 0, 0.5, "in 0..0.5")
        self.patience = check_number("patience", patience, 0, 1e6, "seconds, at least 0")
        self.lines, self.zones = list(lines), list(zones)
        self._names = _distinct([*(line.name for line in self.lines), *(zone.name for zone in self.zones)])
        self._states = [_State() for _ in self._names]
        self.events: list[ZoneEvent] = []
        self.frames = 0

    def update(self, instances: Instances, time: float) -> list[ZoneEvent]:
        """Take the next frame, at `time` seconds; returns what happened in it."""
        before = len(self.events)
        points = {
            int(instances.ids[i]): (self._point(instances.boxes[i]), instances.names[i])
            for i in range(len(instances))
            if instances.ids[i] != NO_ID
        }
        frame = _Frame(points, float(time), instances.size)
        for k, line in enumerate(self.lines):
            self._cross(k, line, frame)
        for k, zone in enumerate(self.zones, len(self.lines)):
            self._stay(k, zone, frame)
        self.frames += 1
        return self.events[before:]

    def _point(self, box: NDArray[np.float32]) -> NDArray[np.float64]:
        x0, y0, x1, y1 = box.astype(np.float64)
        # Within the lowest row of pixels: feet at the frame's lower edge are in the frame.
        return np.array([(x0 + x1) / 2, y1 - 0.5 if self.anchor == "bottom" else (y0 + y1) / 2])

    def _cross(self, k: int, line: Line, frame: _Frame) -> None:
        state, time, size = self._states[k], frame.time, frame.size
        for track, (point, label) in frame.points.items():
            side = line.side(point, size)
            clear = abs(side) >= self.margin * min(size)
            known = state.approaches.get(track)
            if known is None:
                if clear:
                    state.approaches[track] = _Approach(side > 0, point, time)
                continue
            known.crossed |= line.meets(known.at, point, size)
            known.at, known.seen = point, time
            if not clear:
                continue
            if known.right != (side > 0) and known.crossed:
                way = "in" if side > 0 else "out"
                state.crossings[way, label] += 1
                self._note(time, k, way, track, label)
            known.right, known.crossed = side > 0, False
        for track in [t for t, known in state.approaches.items() if time - known.seen > _MEMORY]:
            del state.approaches[track]

    def _stay(self, k: int, zone: Zone, frame: _Frame) -> None:
        state, time = self._states[k], frame.time
        for track, (point, label) in frame.points.items():
            if zone.holds(point, frame.size):
                if track not in state.inside:
                    state.inside[track] = _Visit(track, label, time, time)
                    state.visits.append(state.inside[track])
                    self._note(time, k, "enter", track, label)
                state.inside[track].last = time
        for track, visit in list(state.inside.items()):
            if visit.last < time and time - visit.last >= self.patience:
                visit.left = True
                del state.inside[track]
                self._note(visit.last, k, "leave", track, visit.label, round(visit.last - visit.enter, 3))
        state.most = max(state.most, len(state.inside))

    def _note(
        self, time: float, k: int, event: str, track: int, label: str, seconds: float | None = None
    ) -> None:
        self.events.append(ZoneEvent(self.frames, time, self._names[k], event, track, label, seconds))

    def crossed(self, name: str) -> tuple[int, int]:
        """How many crossed a line in and out.

        Raises:
            KeyError: if no line has that name.
        """
        crossings = self._state(name, len(self.lines), 0).crossings
        into, out = (sum(n for (way, _), n in crossings.items() if way == w) for w in ("in", "out"))
        return into, out

    def inside(self, name: str) -> list[int]:
        """Ids of the tracks that are in a zone.

        Raises:
            KeyError: if no zone has that name.
        """
        return sorted(self._state(name, len(self._names), len(self.lines)).inside)

    def _state(self, name: str, stop: int, start: int) -> _State:
        if name not in self._names[start:stop]:
            raise KeyError(f"expected one of {', '.join(self._names[start:stop])}, got {name!r}")
        return self._states[self._names.index(name)]

    def to_dict(self) -> dict[str, Any]:
        """All counts as a JSON-ready object: "lines", "zones" and "events".

        A line has "name", "points", "in", "out" and those by class; a zone has "name", "points", "entered"
        (visits), "inside" (now), "most" (at once), "seconds" (of all visits) and its "visits", whose "leave"
        is null for who is still there. Times are in seconds.
        """
        lines = [self._line_dict(k, line) for k, line in enumerate(self.lines)]
        zones = [self._zone_dict(k, zone) for k, zone in enumerate(self.zones, len(self.lines))]
        return {"lines": lines, "zones": zones, "events": [asdict(event) for event in self.events]}

    def _line_dict(self, k: int, line: Line) -> dict[str, Any]:
        crossings = self._states[k].crossings
        classes = sorted({label for _, label in crossings})
        into, out = self.crossed(self._names[k])
        return {
            "name": self._names[k],
            "points": [list(line.start), list(line.end)],
            "relative": line.relative,
            "in": into,
            "out": out,
            "classes": {label: {way: crossings[way, label] for way in ("in", "out")} for label in classes},
        }

    def _zone_dict(self, k: int, zone: Zone) -> dict[str, Any]:
        state = self._states[k]
        visits = [visit.to_dict() for visit in state.visits]
        return {
            "name": self._names[k],
            "points": [list(point) for point in zone.polygon],
            "relative": zone.relative,
            "entered": len(visits),
            "inside": len(state.inside),
            "most": state.most,
            "seconds": round(sum(visit["seconds"] for visit in visits), 3),
            "visits": visits,
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the counts: `to_dict` to a .json file, the events to a .csv file with a row for each.

        Raises:
            ValueError: for another suffix.
            OSError: if the file can't be written.
        """
        suffix = counts_suffix(path)
        with Output(path) as output:
            output.open().write(self.to_text(suffix))

    def to_text(self, suffix: str) -> str:
        """What `write` writes to a file of such a suffix."""
        if suffix == ".json":
            return json.dumps(self.to_dict(), indent=1)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = ("frame", "time", "place", "event", "id", "label", "seconds")
        writer.writerow(columns)
        writer.writerows([getattr(event, column) for column in columns] for event in self.events)
        return text.getvalue()

    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the image, uint8 (H, W, 3), with lines, zones and counts drawn on it."""
        from ..drawing.places import draw_places

        return draw_places(image, self)

    def captions(self) -> list[str]:
        """What is written beside each line and zone, in order."""
        captions = []
        for k, (name, state) in enumerate(zip(self._names, self._states, strict=True)):
            if k < len(self.lines):
                into, out = self.crossed(name)
                captions.append(f"{name}: {into} in, {out} out")
            else:
                captions.append(f"{name}: {len(state.inside)} inside, {len(state.visits)} so far")
        return captions


def counts_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of a file for counts, ".csv" or ".json".

    Raises:
        ValueError: for another name.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".json"):
        raise ValueError(f"{path}: expected a name that ends in .csv or .json")
    return suffix


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with " 2" and so on behind those that occurred before."""
    given: list[str] = []
    for name in names:
        free = name
        number = 2
        while free in given:
            free, number = f"{name} {number}", number + 1
        given.append(free)
    return given
