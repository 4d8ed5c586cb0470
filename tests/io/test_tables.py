"""Tables: what is aligned left, what right."""

from __future__ import annotations

from mobileinst.io.tables import text_table


def test_text_table() -> None:
    assert text_table([["a", "bb"], ["ccc", "1"]]) == "a    bb\n-------\nccc   1"
    rows = [["a", "bb", "cc"], ["ccc", "d", ""]]
    assert text_table(rows, words=2) == "a    bb  cc\n-----------\nccc  d"
