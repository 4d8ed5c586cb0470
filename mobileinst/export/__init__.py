"""Results in the formats that others read: a module for each, with the sink that registers it.

A sink takes the frames of one source in order and ends with `complete` and `finish`, or with `discard`; its
file appears under its name only when finished. `export_formats` finds every module of this package, so that a
format is one file.
"""

from .coco import CocoSink, coco_results
from .json_lines import JsonLinesSink, frame_record
from .mask_pngs import PngMaskSink, id_picture
from .mots import MotsSink
from .owners import owner_map
from .sink import ExportFormat, FrameResult, Sink, export_format, export_formats
from .youtube_vis import YoutubeVisSink

__all__ = [
    "CocoSink",
    "ExportFormat",
    "FrameResult",
    "JsonLinesSink",
    "MotsSink",
    "PngMaskSink",
    "Sink",
    "YoutubeVisSink",
    "coco_results",
    "export_format",
    "export_formats",
    "frame_record",
    "id_picture",
    "owner_map",
]
