"""Tables: what is aligned left, what right, and Markdown's form."""

from __future__ import annotations

from mobileinst.io.tables import markdown_table, text_table


def test_text_table() -> None:
    assert text_table([["a", "bb"], ["ccc", "1"]]) == "a    bb\n-------\nccc   1"
    rows = [["a", "bb", "cc"], ["ccc", "d", ""]]
    assert text_table(rows, words=2) == "a    bb  cc\n-----------\nccc  d"


def test_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["x", 1], ["y", 2.5]]) == (
        "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2.5 |\n"
    )
