"""A frame to run lengths, by our engine and as users of other engines do it.

Ways from logits to run lengths:

- "own": run lengths straight from the logits at 1/8 (`mobileinst._native.rle_from_logits`);
- "segment": all that `Segmenter.segment` does besides: scores, components, duplicates, boxes, areas;
- "usual": each mask resized to the frame with OpenCV, compared with the threshold, encoded with pycocotools;
- "boxed": the same, but only the box around the mask is resized and compared.

Every pipeline runs the whole network, its mask logits included, and then turns the same given logits into run
lengths: those of objects, which the network's own (random weights) are not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants.base import Array, Case, Contestant, Files

# Nothing of mobileinst is imported here: the others' memory shall not hold it, and ours is measured with it.
if TYPE_CHECKING:
    from mobileinst.engine import Session

#: Masks are where the probability exceeds 0.45.
THRESHOLD = math.log(0.45 / 0.55)


#: Side of the squares whose mask pixels are counted to compare masks.
BLOCK = 16


@dataclass(frozen=True)
class FrameCase:
    """Which frame (a .npy file, uint8 (H, W, 3)), the masks' logits (a .npy file, float32 (n, h, w)) that
    become run lengths, which post-processing, and mean and standard deviation of the channels."""

    image: str
    masks: str
    post: str
    mean: Sequence[float]
    std: Sequence[float]


class Pipeline(Protocol):
    """Runs whole frames; ``stages`` collects the milliseconds of each run by stage."""

    stages: dict[str, list[float]]

    def run(self) -> None:
        """A frame to run lengths."""
        ...

    def outputs(self) -> dict[str, Any]:
        """What is compared, with the frame resized in floating point: the areas of the network's own first
        masks, and of the given ones the pixels in each block of the frame."""
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
    """Our engine: the frame is resized and normalised by it, masks stay logits until they are run lengths.

    The mask product is computed for as many kernels as there are masks, and booked as post-processing.
    """

    def __init__(self, files: Files, case: Case, frame: FrameCase) -> None:
        from mobileinst import _native
        from mobileinst.engine import NativeModel
        from mobileinst.weights import load_weights

        self.native = _native
        weights = load_weights(files.own_weights(case.precision))
        model = NativeModel(weights, threads=case.threads, precision=case.precision)
        self.session = model.session(case.height, case.image_width)
        self.frame, self.masks = np.load(frame.image), np.load(frame.masks)
        self.stages: dict[str, list[float]] = {}

    def run(self) -> None:
        watch, session = Stopwatch(self.stages), self.session
        session.load_frame(self.frame)
        watch.lap("preprocess")
        session.run_features()
        _, _, kernels = session.run_instances()
        watch.lap("network")
        session.mask_logits(kernels[: len(self.masks)])
        self.run_lengths(self.masks)
        watch.lap("post")

    def outputs(self) -> dict[str, Any]:
        self.session.load_frame(self.frame)
        self.session.run_features()
        kernels = self.session.run_instances()[2]
        own = self.run_lengths(self.session.mask_logits(kernels[: len(self.masks)]))
        size = self.frame.shape[:2]
        # one dense mask at a time: the peak of memory is measured too
        given = (self.native.rle_decode(runs, *size) for runs in self.run_lengths(self.masks))
        return {
            "areas": np.array([float(runs[1::2].sum()) for runs in own]),
            "blocks": np.stack([block_areas(mask) for mask in given]),
        }

    def run_lengths(self, logits: Array) -> list[NDArray[np.uint32]]:
        """Run lengths at the frame's size."""
        height, width = self.frame.shape[:2]
        return list(self.native.rle_from_logits(logits, height, width, THRESHOLD))


class SegmentPipeline:
    """`Segmenter.segment`, with a network whose instances are the given masks."""

    def __init__(self, files: Files, case: Case, frame: FrameCase) -> None:
        from mobileinst import Segmenter, _native

        self.native = _native
        self.frame, self.masks = np.load(frame.image), np.load(frame.masks)
        self.stages: dict[str, list[float]] = {}
        size = case.height, case.image_width
        weights = files.own_weights(case.precision)
        self.segmenter = Segmenter(weights, threads=case.threads, size=size, precision=case.precision)
        self.model = _GivenModel(self.segmenter._model.session(*size), self.masks)
        self.segmenter._model = self.model  # type: ignore[assignment]

    def run(self) -> None:
        self.model.watch = watch = Stopwatch(self.stages)
        found = self.segmenter.segment(self.frame)
        watch.lap("post")
        if len(found) != len(self.masks):
            raise RuntimeError(f"segment() gave {len(found)} instances of {len(self.masks)} masks")

    def outputs(self) -> dict[str, Any]:
        options = self.segmenter.components, self.segmenter.duplicate_iou
        self.segmenter.components, self.segmenter.duplicate_iou = "all", 1  # as the others' masks are
        found = self.segmenter.segment(self.frame)
        self.segmenter.components, self.segmenter.duplicate_iou = options
        order = np.argsort(-self.native.maskness(self.masks), kind="stable")  # best first
        blocks = [block_areas(found.mask(int(i))) for i in np.argsort(order)]
        return {"blocks": np.stack(blocks)}


class _GivenModel:
    """A model with one session, whose first queries are sure of themselves and have the given masks."""

    def __init__(self, session: Session, masks: Array) -> None:
        self._session, self._masks = session, masks
        self.watch = Stopwatch({})
        self.threads = 1

    def session(self, height: int, width: int) -> _GivenModel:
        return self

    def load_frame(self, frame: NDArray[np.uint8], *, bgr: bool = False) -> None:
        self._session.load_frame(frame, bgr=bgr)
        self.watch.lap("preprocess")

    def run_features(self) -> None:
        self._session.run_features()

    def run_instances(self) -> tuple[Array, Array, Array]:
        class_logits, objectness_logits, kernels = self._session.run_instances()
        class_logits[:] = objectness_logits[:] = -9
        class_logits[: len(self._masks), 0] = objectness_logits[: len(self._masks)] = 9
        self.watch.lap("network")
        return class_logits, objectness_logits, kernels

    def boxes(self, kernels: Array, margin: float = 0.0) -> Array | None:
        return self._session.boxes(kernels, margin)

    def mask_logits(self, kernels: Array, margin: float = 0.0) -> Array:
        self._session.mask_logits(kernels, margin)
        return self._masks[: len(kernels)]


class UsualPipeline:
    """Another engine between OpenCV, NumPy and pycocotools. Its network gives the logits of all queries."""

    def __init__(self, contestant: Contestant, files: Files, case: Case, frame: FrameCase) -> None:
        import cv2

        self.scale = (1.0 / np.asarray(frame.std)).astype(np.float32)
        self.shift = (-np.asarray(frame.mean) / np.asarray(frame.std)).astype(np.float32)
        contestant.load(files, case)
        cv2.setNumThreads(case.threads)
        self.contestant, self.size = contestant, (case.height, case.image_width)
        self.frame, self.masks = np.load(frame.image), np.load(frame.masks)
        self.to_mask = boxed_mask if frame.post == "boxed" else full_mask
        self.stages: dict[str, list[float]] = {}

    def run(self) -> None:
        watch = Stopwatch(self.stages)
        x = self.network_input(self.frame)
        watch.lap("preprocess")
        self.contestant.run(x)
        watch.lap("network")
        self.run_lengths(self.masks)
        watch.lap("post")

    def outputs(self) -> dict[str, Any]:
        from pycocotools import mask as coco_mask

        # bytes are faster to resize, and usual
        found = self.contestant.run(self.network_input(self.frame.astype(np.float32)))
        own = found["mask_logits"].reshape(-1, *found["mask_logits"].shape[-2:])[: len(self.masks)]
        given = (coco_mask.decode(runs) for runs in self.run_lengths(self.masks))
        return {
            "areas": np.array([float(coco_mask.area(runs)) for runs in self.run_lengths(own)]),
            "blocks": np.stack([block_areas(mask) for mask in given]),
        }

    def network_input(self, frame: NDArray[Any]) -> Array:
        """The normalised image (3, h, w)."""
        import cv2

        image = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        image = image.astype(np.float32) * self.scale + self.shift
        return np.ascontiguousarray(image.transpose(2, 0, 1))

    def run_lengths(self, logits: Array) -> list[Any]:
        """Run lengths at the frame's size as pycocotools holds them."""
        from pycocotools import mask as coco_mask

        height, width = self.frame.shape[:2]
        return [coco_mask.encode(self.to_mask(np.ascontiguousarray(x), height, width)) for x in logits]


def block_areas(mask: NDArray[Any]) -> Array:
    """Pixels of a mask (H, W) in each block, row by row."""
    rows = np.add.reduceat(mask.astype(np.float32), range(0, mask.shape[0], BLOCK), axis=0)
    return np.asarray(np.add.reduceat(rows, range(0, mask.shape[1], BLOCK), axis=1), np.float32)


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


def make_pipeline(name: str, contestant: Contestant, files: Files, case: Case, frame: FrameCase) -> Pipeline:
    """Our pipelines for ourselves, the usual or boxed one for others."""
    for path in (frame.image, frame.masks):
        if not Path(path).exists():
            raise ValueError(f"no file {path}")
    if frame.post in ("own", "segment"):
        if name != "mobileinst":
            raise ValueError(f"{name} has no own way to run lengths; expected 'usual' or 'boxed'")
        return (OwnPipeline if frame.post == "own" else SegmentPipeline)(files, case, frame)
    return UsualPipeline(contestant, files, case, frame)
