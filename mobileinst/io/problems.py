"""What checks of users' files find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One finding: with an error the file can't be used as it is meant, a warning only costs quality.

    where: what it is about, a file with a line (``a.txt:3``) or an entry ("result 12, frame 3").
    """

    where: str
    message: str
    error: bool = True

    def __str__(self) -> str:
        return f"{'error' if self.error else 'warning'}: {self.where}: {self.message}"
