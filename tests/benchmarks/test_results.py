"""The form of the benchmarks' tables."""

from __future__ import annotations

from benchmarks.support.results import markdown_table


def test_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["x", 1], ["y", 2.5]]) == (
        "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2.5 |\n"
    )
