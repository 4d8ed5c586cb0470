"""The command line, `mobileinst`: its program and what each command does."""

from .program import main

__all__ = ["main"]
