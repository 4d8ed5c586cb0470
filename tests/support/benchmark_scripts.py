"""Runs the benchmarks as their users do."""

from __future__ import annotations

import subprocess
import sys

#: What results say of where they come from.
ORIGIN = {
    "machine": {"cpu": "A CPU", "cores": 2, "system": "Linux", "load": 0.5},
    "date": "2026-01-01",
    "commit": "abc",
}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A benchmark with arguments."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)
