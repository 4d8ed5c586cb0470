"""What the results of a source depend on, and the files that they are written to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..export import export_formats
from ..io.files import fitting_name
from ..tracking import Tracker
from ..weights import Weights

#: The output that is made from the JSON lines, as `mobileinst report` does.
REPORT = "report"


@dataclass(frozen=True)
class Options:
    """Options of `mobileinst track` for every source of a batch.

    outputs: names of `export_formats("track")`, or "report". split: seconds of the pieces that long videos
    are cut into, None for none.
    """

    outputs: tuple[str, ...] = ("json",)
    keyframe_every: int = 3
    score_threshold: float | None = None
    forget_after: int = 30
    iou_weight: float = 1.0
    max_frames: int | None = None
    fps: float | None = None
    boxes: bool = False
    labels: bool = True
    split: float | None = None

    def tracker(self) -> Tracker:
        """A Tracker for one source."""
        return Tracker(forget_after=self.forget_after, iou_weight=self.iou_weight)

    def files(self, stem: Path) -> dict[str, Path]:
        """The path of each output of a source, below `stem`'s folder.

        A name that is too long for a file is cut, and ends in a hash of the whole.
        """
        suffixes = {name: chosen.suffix for name, chosen in export_formats("track").items()}
        suffixes[REPORT] = ".html"
        longest = max(suffixes.values(), key=len)
        if fitting_name(stem.name, longest) != stem.name + longest:
            end = f"~{hashlib.sha256(os.fsencode(stem.name)).hexdigest()[:8]}"
            stem = stem.with_name(fitting_name(stem.name, end + longest).removesuffix(longest))
        return {name: stem.with_name(stem.name + suffixes[name]) for name in self.outputs}


def model_key(weights: Weights, size: int | tuple[int, int] | None, precision: str) -> str:
    """A hash of the model: its parameters, metadata, input size, precision, and this package's version."""
    digest = hashlib.sha256()
    for name in sorted(weights.tensors):
        digest.update(name.encode() + np.ascontiguousarray(weights.tensors[name]).tobytes())
    digest.update(
        json.dumps([__version__, size, precision, weights.metadata], sort_keys=True, default=str).encode()
    )
    return digest.hexdigest()


def source_key(model: str, options: Options, stamp: Sequence[Any]) -> str:
    """A hash of all that a source's results depend on: model, options, size and time of change."""
    content = [model, asdict(options), list(stamp)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
