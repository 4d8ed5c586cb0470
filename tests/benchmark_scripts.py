"""Runs the benchmark scripts as their users do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mobileinst

#: Where the package under test lies: the scripts and their workers shall use the same.
PACKAGE = Path(mobileinst.__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"

#: What results say of where they come from.
ORIGIN = {"machine": {"cpu": "A CPU", "system": "Linux"}, "date": "2026-01-01", "commit": "abc"}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script with arguments, on the package under test."""
    command = [sys.executable, str(FOLDER / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
