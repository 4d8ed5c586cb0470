"""What every result says of itself, and how it is written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.machine import commit, describe_machine, today


def make_result(kind: str, **values: Any) -> dict[str, Any]:
    """A document of a run: its kind, date, commit and machine, then the values."""
    origin = {"date": today(), "commit": commit(), "machine": describe_machine()}
    return {"format": 1, "kind": kind, **origin, **values}


def origin_line(document: dict[str, Any]) -> str:
    """Machine, date, load and commit for the head of a table."""
    machine = document["machine"]
    load = "unknown" if machine["load"] is None else machine["load"]
    place = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    return f"{place}; {document['date']}, load {load}; commit {document['commit'] or 'unknown'}"


def write_json(document: dict[str, Any], path: Path) -> None:
    """A document as JSON."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_result(document: dict[str, Any], table: str, options: argparse.Namespace) -> None:
    """Write the document to --output and the table to --table, where they were asked for."""
    if options.output:
        write_json(document, options.output)
    if options.table:
        options.table.write_text(table, encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose first column is text and whose other columns are numbers, aligned right."""
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    first, *others = ("| " + " | ".join(map(str, cells)) + " |" for cells in (header, *rows))
    return "\n".join((first, rule, *others)) + "\n"
