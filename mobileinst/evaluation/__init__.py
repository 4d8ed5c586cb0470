"""Measuring: average precision on COCO and YouTube-VIS, identities in videos, checks of results files.

Modules: :mod:`.coco` and :mod:`.youtube_vis` (``evaluate(gt, results)`` in both), :mod:`.identity` (identity
switches, fragmentation, IDF1), :mod:`.validate`, :mod:`.report` (tables, precision-recall pictures) and
:mod:`.runner` (``mobileinst eval``). Only :mod:`.coco` needs more than NumPy.
"""

from __future__ import annotations
