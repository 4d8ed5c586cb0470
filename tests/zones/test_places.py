"""Lines and zones: which side, which way, inside or not, and how they are written."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst.zones import Line, Zone, parse_line, parse_zone

SIZE = (100, 200)


def test_the_right_side_is_that_of_who_walks_along() -> None:
    along = Line((0, 50), (200, 50))
    assert along.side(np.array([10.0, 80.0]), SIZE) == 30
    assert along.side(np.array([10.0, 20.0]), SIZE) == -30
    down = Line((50, 0), (50, 100))
    assert down.side(np.array([20.0, 10.0]), SIZE) == 30


def test_ways_meet_the_line_between_its_ends_only() -> None:
    line = Line((50, 50), (150, 50))
    for x, meets in [(49, False), (50, True), (100, True), (150, True), (151, False)]:
        assert line.meets(np.array([x, 40.0]), np.array([x, 60.0]), SIZE) == meets
    assert line.meets(np.array([40.0, 40.0]), np.array([70.0, 70.0]), SIZE)
    assert not line.meets(np.array([60.0, 40.0]), np.array([60.0, 49.0]), SIZE)


def test_zones_hold_what_is_inside() -> None:
    zone = Zone([(10, 10), (90, 10), (90, 90), (50, 20), (10, 90)])
    assert zone.holds(np.array([20.0, 30.0]), SIZE)
    assert not zone.holds(np.array([50.0, 60.0]), SIZE)


def test_per_cent_follow_the_frame() -> None:
    line = parse_line("door: 0,50%,100%,50%")
    assert (line.name, line.points(SIZE).tolist()) == ("door", [[0, 50], [200, 50]])
    assert parse_zone("0,0,50%,0,50%,50%").points(SIZE).tolist() == [[0, 0], [100, 0], [100, 50]]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1,2,3,4", [[1, 2], [3, 4]]),
        ("a:b: 1 2 3.5 -4", [[1, 2], [3.5, -4]]),
        ("1,2; 3,4", [[1, 2], [3, 4]]),
    ],
)
def test_lines_are_read(text: str, points: list[list[float]]) -> None:
    assert parse_line(text).points(SIZE).tolist() == points


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5,6", "1,2,x,4", "1,2,3,nan", "10%,2,3,4", "1,2,1,2", "door:", "²,1,2,3"]
)
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_line(text)


@pytest.mark.parametrize("text", ["", "1,2,3,4", "1,2,3,4,5"])
def test_other_zones_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_zone(text)
