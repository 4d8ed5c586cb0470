"""Crossings, visits and dwell times of tracks that are put where they should be counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mobileinst.results import Instances, encode
from mobileinst.zones import Line, Zone, ZoneCounter

SIZE = (100, 200)


def frame(**tracks: tuple[int, int]) -> Instances:
    """Squares of 4 pixels whose lower edges' middles are at x, y; keys are t1, t2, ..., or c1 for cars."""
    masks = np.zeros((len(tracks), *SIZE), np.bool_)
    for mask, (x, y) in zip(masks, tracks.values(), strict=True):
        mask[y - 4 : y, x - 2 : x + 2] = True
    names = ["car" if key[0] == "c" else "person" for key in tracks]
    ids = [int(key[1:]) for key in tracks]
    return Instances(SIZE, encode(masks), [0.9] * len(tracks), [0] * len(tracks), names, ids)


def walk(counter: ZoneCounter, *ys: int | None, x: int = 100, step: float = 1.0) -> None:
    for number, y in enumerate(ys):
        counter.update(Instances.empty(SIZE) if y is None else frame(t1=(x, y)), number * step)


def test_crossings_are_counted_by_way_and_class() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50), "door")])
    counter.update(frame(t1=(40, 30), c2=(100, 80), t3=(150, 30)), 0)
    counter.update(frame(t1=(40, 70), c2=(100, 20), t3=(150, 40)), 1)
    assert counter.crossed("door") == (1, 1)
    assert [(e.event, e.id, e.label, e.frame, e.time) for e in counter.events] == [
        ("in", 1, "person", 1, 1.0),
        ("out", 2, "car", 1, 1.0),
    ]
    (line,) = counter.to_dict()["lines"]
    assert line["classes"] == {"car": {"in": 0, "out": 1}, "person": {"in": 1, "out": 0}}


def test_dithering_on_the_line_counts_once() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))], margin=0.02)
    walk(counter, 40, 49, 51, 49, 51, 50, 49, 60, 51, 49, 58)
    assert counter.crossed("line") == (1, 0)


def test_going_back_counts_the_other_way() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))])
    walk(counter, 40, 60, 40, 60)
    assert counter.crossed("line") == (2, 1)


def test_who_goes_round_the_end_has_not_crossed() -> None:
    counter = ZoneCounter([Line((0, 50), (90, 50))])
    walk(counter, 40, 45, 60)
    assert counter.crossed("line") == (0, 0)
    for number, place in enumerate([(100, 60), (60, 60), (60, 40)]):
        counter.update(frame(t1=place), 3 + number)
    assert counter.crossed("line") == (0, 1)


def test_a_slow_crossing_within_the_margin_is_seen() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))], margin=0.1)
    walk(counter, 39, 45, 48, 51, 55, 58, 61)
    assert counter.crossed("line") == (1, 0)


def test_a_gap_in_a_track_does_not_hide_its_crossing() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))])
    walk(counter, 40, None, None, 60)
    assert counter.crossed("line") == (1, 0)


def test_what_is_long_gone_is_forgotten() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))])
    counter.update(frame(t1=(100, 40)), 0)
    counter.update(Instances.empty(SIZE), 100)
    assert counter._states[0].approaches == {}


def test_dwell_times() -> None:
    counter = ZoneCounter(zones=[Zone([(0, 0), (200, 0), (200, 50), (0, 50)], "top")], patience=1.0)
    walk(counter, 80, 40, 40, 60, 40, 40, 80, 80, 80, step=0.5)
    assert [(e.event, e.time, e.seconds) for e in counter.events] == [
        ("enter", 0.5, None),
        ("leave", 2.5, 2.0),
    ]
    (zone,) = counter.to_dict()["zones"]
    assert (zone["entered"], zone["inside"], zone["most"], zone["seconds"]) == (1, 0, 1, 2.0)
    assert zone["visits"] == [{"id": 1, "label": "person", "enter": 0.5, "leave": 2.5, "seconds": 2.0}]


def test_who_is_still_there_has_not_left() -> None:
    counter = ZoneCounter(zones=[Zone([(0, 0), (200, 0), (200, 50), (0, 50)])])
    counter.update(frame(t1=(50, 30), t2=(90, 30)), 0)
    counter.update(frame(t1=(50, 30), t2=(90, 30)), 3)
    assert counter.inside("zone") == [1, 2]
    (zone,) = counter.to_dict()["zones"]
    assert (zone["most"], [visit["leave"] for visit in zone["visits"]]) == (2, [None, None])
    assert zone["seconds"] == 6


def test_the_anchor_may_be_the_centre() -> None:
    counts = {}
    for anchor in ("bottom", "center"):
        counter = ZoneCounter([Line((0, 50), (200, 50))], anchor=anchor, margin=0)
        walk(counter, 40, 51)
        counts[anchor] = counter.crossed("line")
    assert counts == {"bottom": (1, 0), "center": (0, 0)}


def test_feet_at_the_edge_of_the_frame_are_in_it() -> None:
    counter = ZoneCounter(zones=[Zone([(0, 50), (200, 50), (200, 100), (0, 100)])])
    counter.update(frame(t1=(100, 100)), 0)
    assert counter.inside("zone") == [1]


def test_instances_without_tracks_are_not_counted() -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50))], [Zone([(0, 0), (200, 0), (200, 99)])])
    for y in (30, 70):
        loose = frame(t1=(100, y))
        loose.ids[:] = -1
        counter.update(loose, y)
    assert counter.events == []


def test_names_are_made_distinct() -> None:
    line = Line((0, 50), (200, 50))
    counter = ZoneCounter([line, line], [Zone([(0, 0), (1, 0), (0, 1)], "line")])
    walk(counter, 40, 60)
    assert counter.crossed("line") == counter.crossed("line 2") == (1, 0)
    assert counter.inside("line 3") == []
    with pytest.raises(KeyError):
        counter.crossed("line 3")


def test_files(tmp_path: Path) -> None:
    counter = ZoneCounter([Line((0, 50), (200, 50), "door, main")])
    walk(counter, 40, 60)
    counter.write(tmp_path / "counts.json")
    assert json.loads((tmp_path / "counts.json").read_text()) == json.loads(json.dumps(counter.to_dict()))
    counter.write(tmp_path / "counts.csv")
    with (tmp_path / "counts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "frame": "1",
            "time": "1.0",
            "place": "door, main",
            "event": "in",
            "id": "1",
            "label": "person",
            "seconds": "",
        }
    ]
    with pytest.raises(ValueError, match=r"\.csv or \.json"):
        counter.write(tmp_path / "counts.txt")


def test_lines_and_zones_are_drawn_where_they_are() -> None:
    counter = ZoneCounter(
        [Line((20, 50), (180, 50), "a")], [Zone([(10, 60), (60, 60), (60, 90), (10, 90)], "b")]
    )
    grey = np.full((*SIZE, 3), 100, np.uint8)
    drawn = counter.draw(grey)
    assert (grey == 100).all()
    assert (drawn[49:51, 22:58] != 100).any(-1).all()
    assert (drawn[62:88, 10] != 100).any(-1).all()
    assert (drawn[:20] == 100).all()


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="anchor"):
        ZoneCounter(anchor="top")
    with pytest.raises(ValueError, match="margin"):
        ZoneCounter(margin=2)
    with pytest.raises(ValueError, match="two different points"):
        Line((1, 2), (1, 2))
    with pytest.raises(ValueError, match="3 corners"):
        Zone([(1, 2), (3, 4)])
    with pytest.raises(ValueError, match="zone x: expected an area, its corners lie on one line"):
        Zone([(1, 1), (2, 2), (5, 5), (1, 1)], "x")
    assert Zone([(0, 0), (4, 4), (0, 4), (4, 0)]).holds(np.array([2, 1]), (5, 5))  # crosses itself
