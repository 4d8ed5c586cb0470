"""A frame to run lengths, by our engine and as users of other engines do it.

Three ways from logits to run lengths:

- "own": run lengths straight from the logits at 1/8 (`mobileinst._native.rle_from_logits`);
- "usual": each mask resized to the frame with OpenCV, compared with the threshold, encoded with pycocotools;
- "boxed": the same, but only the box around the mask is resized and compared.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from contestants.base import Array, Case, Contestant, Files
from numpy.typing import NDArray

from mobileinst.weights import load_weights

#: Masks are where the probability exceeds 0.45.
THRESHOLD = math.log(0.45 / 0.55)


@dataclass(frozen=True)
class FrameCase:
    """Which frame (a .npy file, uint8 (H, W, 3)), how many instances, which post-processing.

    The instances are the first queries, not the best ones: near ties of scores would let engines whose last
    digits differ work on different masks.
    """

    image: str
    instances: int
    post: str


class Pipeline(Protocol):
    """Runs whole frames; ``stages`` collects the milliseconds of each run by stage."""

    stages: dict[str, list[float]]

    def run(self, exact: bool = False) -> dict[str, Any]:
        """The masks' areas in pixels; ``exact`` resizes the frame in floating point, for comparison."""
        ...


class Stopwatch:
    """Splits a run into stages."""

    def __init__(self, stages: dict[str, list[float]]) -> None:
        self._stages, self._last = stages, time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap."""
        now = time.perf_counter()
        self._stages.setdefault(stage, []).append((now - self._last) * 1e3)
        self._last = now


class OwnPipeline:
    """Our engine: the frame is resized and normalised by it, masks stay logits until they are run lengths."""

    def __init__(self, files: Files, case: Case, frame: FrameCase) -> None:
        from mobileinst.engine import NativeModel

        model = NativeModel(load_weights(files.weights), threads=case.threads)
        self.session = model.session(case.height, case.image_width)
        self.frame, self.count = np.load(frame.image), frame.instances
        self.stages: dict[str, list[float]] = {}

    def run(self, exact: bool = False) -> dict[str, Any]:
        from mobileinst import _native

        watch, session = Stopwatch(self.stages), self.session
        session.load_frame(self.frame)
        watch.lap("preprocess")
        session.run_features()
        _, _, kernels = session.run_instances()
        watch.lap("network")
        logits = session.mask_logits(np.ascontiguousarray(kernels[: self.count]))
        height, width = self.frame.shape[:2]
        runs = _native.rle_from_logits(logits, height, width, THRESHOLD)
        watch.lap("post")
        return {"areas": np.array([float(counts[1::2].sum()) for counts in runs])}


class UsualPipeline:
    """Another engine between OpenCV, NumPy and pycocotools."""

    def __init__(self, contestant: Contestant, files: Files, case: Case, frame: FrameCase) -> None:
        import cv2

        weights = load_weights(files.weights)
        self.scale = (1.0 / np.asarray(weights.std)).astype(np.float32)
        self.shift = (-np.asarray(weights.mean) / np.asarray(weights.std)).astype(np.float32)
        contestant.load(files, case)
        cv2.setNumThreads(case.threads)
        self.contestant, self.size = contestant, (case.height, case.image_width)
        self.frame, self.count, self.boxed = np.load(frame.image), frame.instances, frame.post == "boxed"
        self.stages: dict[str, list[float]] = {}

    def run(self, exact: bool = False) -> dict[str, Any]:
        import cv2
        from pycocotools import mask as coco_mask

        watch = Stopwatch(self.stages)
        frame = self.frame.astype(np.float32) if exact else self.frame  # bytes are faster, and usual
        image = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        image = image.astype(np.float32) * self.scale + self.shift
        x = np.ascontiguousarray(image.transpose(2, 0, 1))
        watch.lap("preprocess")
        found = self.contestant.run(x)
        watch.lap("network")
        logits = found["mask_logits"].reshape(-1, *found["mask_logits"].shape[-2:])
        height, width = self.frame.shape[:2]
        areas = []
        for mask_logits in logits[: self.count]:
            to_mask = boxed_mask if self.boxed else full_mask
            runs: Any = coco_mask.encode(to_mask(np.ascontiguousarray(mask_logits), height, width))
            areas.append(coco_mask.area(runs))
        watch.lap("post")
        return {"areas": np.array(areas, dtype=np.float64)}


def full_mask(logits: Array, height: int, width: int) -> NDArray[np.uint8]:
    """Mask (H, W) in column-major order, as pycocotools wants it."""
    import cv2

    full = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asfortranarray(full > THRESHOLD, dtype=np.uint8)


def boxed_mask(logits: Array, height: int, width: int) -> NDArray[np.uint8]:
    """The same, computed only where a neighbouring logit exceeds the threshold."""
    import cv2

    mask = np.zeros((height, width), np.uint8, order="F")
    rows, columns = np.nonzero((logits > THRESHOLD).any(1))[0], np.nonzero((logits > THRESHOLD).any(0))[0]
    if len(rows) == 0:
        return mask
    ratio_y, ratio_x = logits.shape[0] / height, logits.shape[1] / width
    top, bottom = _span(rows, ratio_y, height)
    left, right = _span(columns, ratio_x, width)
    matrix = np.array(
        [
            [ratio_x, 0.0, (left + 0.5) * ratio_x - 0.5],
            [0.0, ratio_y, (top + 0.5) * ratio_y - 0.5],
        ]
    )
    box = cv2.warpAffine(
        logits,
        matrix,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask[top:bottom, left:right] = box > THRESHOLD
    return mask


def _span(indices: NDArray[np.intp], ratio: float, extent: int) -> tuple[int, int]:
    """Pixels that interpolate any of the cells from the first to the last index."""
    first, last = (indices[0] - 0.5) / ratio, (indices[-1] + 1.5) / ratio
    return max(0, math.floor(first)), min(extent, math.ceil(last))


def make_pipeline(
    name: str, contestant: Contestant, files: Files, case: Case, frame: FrameCase
) -> OwnPipeline | UsualPipeline:
    """Our pipeline for ourselves, the usual or boxed one for others."""
    if not Path(frame.image).exists():
        raise ValueError(f"no frame at {frame.image}")
    if frame.post == "own":
        if name != "mobileinst":
            raise ValueError(f"{name} has no own way to run lengths; expected 'usual' or 'boxed'")
        return OwnPipeline(files, case, frame)
    return UsualPipeline(contestant, files, case, frame)
