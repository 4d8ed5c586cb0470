"""One self-contained page about a tracked video: `write_report`."""

from .write import write_report

__all__ = ["write_report"]
