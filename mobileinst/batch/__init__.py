"""Thousands of videos: `mobileinst batch`, on the processes of one machine or on a Ray cluster.

Modules: :mod:`.sources` (which there are), :mod:`.options` (what results depend on), :mod:`.work` (what
a worker does), :mod:`.journal` (what is done already), :mod:`.run` (the driver) and :mod:`.progress`.
"""

from __future__ import annotations

from .options import Options
from .run import BatchReport, Workers, run_batch
from .sources import Source, find_sources

__all__ = ["BatchReport", "Options", "Source", "Workers", "find_sources", "run_batch"]
