"""Measuring: average precision on COCO and YouTube-VIS, identities in videos, checks of results files.

Modules: :mod:`.coco` and :mod:`.youtube_vis` (``evaluate(gt, results)`` in both), :mod:`.identity` (identity
switches, fragmentation, IDF1), :mod:`.validate`, :mod:`.report` (tables, precision-recall pictures) and
:mod:`.runner` (``mobileinst eval``). Only :mod:`.coco` needs more than NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import coco, identity, youtube_vis
from .entries import DataError
from .files import CategoryMap, read_json
from .summary import STATISTICS, Evaluation


def evaluate(gt: Any, results: Any, *, classes: Sequence[str] | None = None) -> Evaluation:
    """Measure results in COCO or YouTube-VIS format: annotations with "videos" are the latter.

    Arguments, result and errors as :func:`.coco.evaluate` and :func:`.youtube_vis.evaluate`.
    """
    data = read_json(gt, "annotations")
    if isinstance(data, dict) and "videos" in data:
        return youtube_vis.evaluate(data, results, classes=classes)
    return coco.evaluate(data, results, classes=classes)


__all__ = [
    "STATISTICS",
    "CategoryMap",
    "DataError",
    "Evaluation",
    "coco",
    "evaluate",
    "identity",
    "youtube_vis",
]
