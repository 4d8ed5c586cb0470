"""Results in the formats that others read: JSON lines, COCO, YouTube-VIS, MOTS text, and PNG masks."""

from .sinks import (
    JsonLinesSink,
    MotsSink,
    PngMaskSink,
    Sink,
    YoutubeVisSink,
    coco_results,
    frame_record,
    owner_map,
)

__all__ = [
    "JsonLinesSink",
    "MotsSink",
    "PngMaskSink",
    "Sink",
    "YoutubeVisSink",
    "coco_results",
    "frame_record",
    "owner_map",
]
