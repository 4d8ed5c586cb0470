"""The annotated videos that trackers and kernels are measured on, and the options of those measurements."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.command import make_parser
from benchmarks.support.made_clips import make_clips
from benchmarks.support.results import make_result, write_json
from mobileinst import __version__
from mobileinst.video import read_image


@dataclass(frozen=True)
class Video:
    """Frames and annotations of one video, and the groups of videos that it counts in."""

    name: str
    groups: tuple[str, ...]
    frames: Sequence[NDArray[np.uint8]]
    dataset: Mapping[str, Any]


def all_videos(data: Path, each: int, seed: int) -> Iterator[Video]:
    """The videos of davis_val, then the made clips: one at a time, for they take much memory."""
    yield from annotated_videos(data / "davis_val")
    for clip in make_clips(data / "coco_val", each, seed):
        yield Video(clip.name, ("made clips", clip.name.rpartition("-")[0]), list(clip.frames), clip.dataset)


def annotated_videos(folder: Path) -> Iterator[Video]:
    """The videos of a folder with instances.json (YouTube-VIS) and frames/; its name is that of the group."""
    annotated = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    for video in annotated["videos"]:
        frames = [read_image(folder / "frames" / name) for name in video["file_names"]]
        annotations = [a for a in annotated["annotations"] if a["video_id"] == video["id"]]
        dataset = {**annotated, "videos": [video], "annotations": annotations}
        yield Video(video["name"], (folder.name,), frames, dataset)


def parse_options(description: str | None) -> argparse.Namespace:
    """What to measure on these videos, and where to write it."""
    parser = make_parser(description)
    parser.add_argument("--data", type=Path, required=True, help="folder with davis_val and coco_val")
    parser.add_argument("--weights", nargs="*", help="weights files or names (default: the shipped ones)")
    parser.add_argument("--output", type=Path, required=True, help="stem of the files that are written")
    parser.add_argument("--size", type=int, help="shorter side of the network's input")
    parser.add_argument("--clips", type=int, default=3, help="made clips of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the made clips (%(default)s)")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    return options


def make_report(kind: str, options: argparse.Namespace, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The runs with what they belong to."""
    return make_result(kind, version=__version__, seed=options.seed, clips=options.clips, runs=runs)


def write_report(report: dict[str, Any], text: str, options: argparse.Namespace) -> None:
    """Write OUTPUT.json and the table OUTPUT.md, and print the table."""
    write_json(report, options.output.with_suffix(".json"))
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
