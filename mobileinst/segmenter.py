"""The way from a frame to its instances: network, scores, masks, and tracks over a stream."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import MAX_THREADS, ForkLock, NativeModel, Session
from .inputs import check_count, check_frame, check_network_input, check_number, check_size, check_thresholds
from .network.config import ModelConfig
from .postprocessing import MASK_LOGIT, MASK_THRESHOLD, Postprocessing, check_finite, frame_instances
from .results import Instances
from .tracking import Tracker
from .weights import Weights, load_weights

#: What a new track needs by default, as a multiple of the weights' thresholds (ours, docs/tracking.md).
_NEW_TRACK = np.float32(1.25)

#: How much further than its box a mask may reach for each frame since the keyframe that the box is of, as a
#: share of the box's sides: objects move (ours).
_MOTION_MARGIN = 0.05

_STRIDE = 32
_LONGEST = 4 / 3


class Segmenter:
    """Finds instances in images and follows them through videos.

    One Segmenter may serve several threads and several streams; they take turns at the network.

    Args:
        weights: path of a weights file, name of shipped weights, loaded Weights, or None for the default.
        threads: threads of the network; None means ``MOBILEINST_THREADS``, or else the
            number that makes a frame fastest here. Results are the
            same bit for bit for any number.
        size: length to which the shorter side of a frame is scaled for the network, unless the longer would
            exceed 4/3 of it; None means the weights' own. (height, width) is taken as it is. Up: finds
            smaller objects and takes longer; far from the size of training quality falls.
        color: order of the channels of the frames that come in, "rgb" or "bgr" (OpenCV's).
        duplicate_iou: of two masks that overlap with an IoU above this only the better is kept, at the
            resolution of the mask features; 1 keeps all (the paper suppresses nothing).
        components: of the connected components of each mask, "heaviest" keeps the one with the greatest sum
            of probabilities, "all" keeps every one as the paper does. A kernel that also answers to a second
            object elsewhere is the commonest error of small models; objects that something in front divides
            lose a piece.
        precision: "fp32"; "fp16" or "int8", where the processor and the weights have what they need; "auto",
            the fastest of these; None means ``MOBILEINST_PRECISION``, or else "fp32".

    Raises:
        WeightsError: for weights that are missing, damaged or not of this project.
        ValueError: for an argument out of range.

    Example:
        >>> seg = Segmenter()                                       # doctest: +SKIP
        >>> seg.segment(np.zeros((480, 640, 3), np.uint8))          # doctest: +SKIP
        Instances(0 in 480x640: [])
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights | None = None,
        *,
        threads: int | None = None,
        size: int | tuple[int, int] | None = None,
        color: str = "rgb",
        duplicate_iou: float = 0.7,
        components: str = "heaviest",
        precision: str | None = None,
    ) -> None:
        if color not in ("rgb", "bgr"):
            raise ValueError(f"color must be 'rgb' or 'bgr', got {color!r}")
        expected = "above 0 and at most 1"
        self.duplicate_iou = check_number("duplicate_iou", duplicate_iou, 0, 1, expected, above=True)
        if components not in ("heaviest", "all"):
            raise ValueError(f"components must be 'heaviest' or 'all', got {components!r}")
        if threads is not None:
            check_count("threads", threads, most=MAX_THREADS)
        if size is not None:
            check_size(size)
        self.weights = weights if isinstance(weights, Weights) else load_weights(weights)
        self.size: int | tuple[int, int] = self.weights.size if size is None else check_size(size)
        self.color = color
        self.components = components
        self._swap = color != self.weights.color
        self._model = NativeModel(self.weights, threads=threads, precision=precision)
        self._lock = ForkLock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as weights and options: a copy in another process has plans and threads of its own."""
        names = ("size", "color", "duplicate_iou", "components")
        options = {name: getattr(self, name) for name in names}
        options |= {"threads": self._model.threads, "precision": self.precision}
        return functools.partial(type(self), **options), (self.weights,)

    @property
    def precision(self) -> str:
        """What most of the network computes in: "fp32", "fp16" or "int8"."""
        return self._model.precision.name

    @property
    def threads(self) -> int:
        """Threads of the network."""
        return self._model.threads

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; labels are indices into them."""
        return self.weights.classes

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.weights.config

    def __repr__(self) -> str:
        return f"Segmenter({self.config.backbone}, classes={list(self.classes)}, size={self.size})"

    def segment(
        self, image: NDArray[np.uint8], score_threshold: float | Sequence[float] | None = None
    ) -> Instances:
        """The instances of one image, best first.

        Args:
            image: uint8 (H, W, 3), channels in the order given as `color`.
            score_threshold: least score, or one for each class; None means the weights' own.

        Raises:
            TypeError, ValueError: for something that is no such image, or a threshold out of 0..1.
        """
        frame = check_frame(image)
        thresholds = self._thresholds(score_threshold)
        with self._lock:
            session = self._features(frame)
            found, logits = self._postprocessing.candidates(session, thresholds)
            boxes = session.boxes(found.kernels)
        labels = np.argmax(found.class_scores, 1)
        scores = np.max(found.class_scores, 1, initial=0)
        return frame_instances(frame.shape[:2], logits, boxes, scores, labels, self.classes)

    def track(
        self,
        frames: Iterable[NDArray[np.uint8]],
        *,
        keyframe_every: int = 3,
        score_threshold: float | Sequence[float] | None = None,
        tracker: Tracker | None = None,
    ) -> Iterator[Instances]:
        """Instances of each frame of a stream, lazily; `ids` say which is which from frame to frame.

        Every call starts a new stream with ids from 1, unless a `tracker` is passed in, which then goes on
        where it stopped. Several streams may be tracked in turn on one Segmenter.

        Args:
            frames: iterable of images uint8 (H, W, 3). A frame may differ in size from the one before.
            keyframe_every: the whole network runs on every so-many-th frame; between these the kernels of
                the last one are reused (paper: 3). Up: faster, and masks of quick objects suffer.
            score_threshold: least score of a new track, or one for each class; None means 1.25 times the
                weights' own, since a false mask stays as a track.
            tracker: state to go on from; its options say how tracks are continued and dropped.

        Yields:
            Instances of one frame, in order of their ids.

        Raises:
            TypeError, ValueError: at the call for wrong arguments; later, with the frame's number, for a
                frame that is no image.
        """
        if isinstance(frames, (str, bytes, os.PathLike)) or not isinstance(frames, Iterable):
            raise TypeError(
                f"expected an iterable of frames, got {type(frames).__name__}; "
                "mobileinst.video.open_source reads files"
            )
        if isinstance(frames, memoryview):  # has no slices of several dimensions
            frames = np.asarray(frames)
        if isinstance(frames, np.ndarray) and frames.ndim != 4:
            raise ValueError(
                f"expected frames (n, height, width, 3), got shape {frames.shape}; "
                "a single image goes to segment()"
            )
        stream = self.stream(keyframe_every=keyframe_every, score_threshold=score_threshold, tracker=tracker)
        return map(stream.step, frames)

    def stream(
        self,
        *,
        keyframe_every: int = 3,
        score_threshold: float | Sequence[float] | None = None,
        tracker: Tracker | None = None,
    ) -> Stream:
        """A stream to which frames are given one by one, for those who don't have an iterable of them.

        Takes the options of :meth:`track`; ``stream.step(image)`` gives the instances of the next frame.
        """
        if tracker is not None and not isinstance(tracker, Tracker):
            raise TypeError(f"tracker must be a Tracker, got {type(tracker).__name__}")
        if tracker is not None:
            tracker.check_model(self.config.kernel_dim, len(self.classes))
        every = check_count("keyframe_every", keyframe_every)
        thresholds = self._thresholds(score_threshold)
        if score_threshold is None:
            thresholds = np.minimum(thresholds * _NEW_TRACK, np.float32(1))
        return Stream(self, every, thresholds, Tracker() if tracker is None else tracker)

    def forward(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The network alone.

        Args:
            x: float32 (3, H, W), normalised with the weights' mean and std, in their order of channels.

        Returns:
            float32 arrays: `class_logits` (N, classes), `objectness_logits` (N,), `kernels` (N, D),
            `mask_features` (D, h, w) and `mask_logits` (N, h, w), with h = ceil(H / mask stride).

        Raises:
            TypeError, ValueError: for another shape or dtype, NaN or infinity, and for values so large that
                the network's outputs exceed single precision.
        """
        image = check_network_input(x)
        with self._lock:
            session = self._model.session(image.shape[1], image.shape[2])
            session.load_input(image)
            session.run_features()
            class_logits, objectness_logits, kernels = session.run_instances()
            found = {
                "class_logits": class_logits,
                "objectness_logits": objectness_logits,
                "kernels": kernels,
                "mask_features": session.mask_features(),
                "mask_logits": session.mask_logits(kernels),
            }
        check_finite("the input's values are too large for single precision", **found)
        return found

    def _track_frame(
        self, frame: NDArray[np.uint8], every: int, thresholds: NDArray[np.float32], tracker: Tracker
    ) -> Instances:
        keyframe = tracker.next_frame(frame.shape[:2], every)
        if not keyframe and not tracker.visible:
            return Instances.empty(frame.shape[:2])
        post = self._postprocessing
        margin = _MOTION_MARGIN * tracker.frames_since_keyframe
        with self._lock:
            session = self._features(frame)
            if keyframe:
                found, logits = post.candidates(session, tracker.keep_ratio * thresholds)
                predicted = None
                if tracker.iou_weight and tracker.tracks and len(found):
                    predicted = post.masks(session, tracker.kernels()) > MASK_LOGIT
                visible = tracker.update(found, thresholds, predicted)
                logits = logits[[track.detection for track in visible]]
            else:
                visible = tracker.visible
                logits = post.masks(session, tracker.kernels(visible), margin)
                tracker.follow(logits > MASK_LOGIT)
            boxes = session.boxes(tracker.kernels(visible), margin)
        scores = np.array([track.score for track in visible], np.float32)
        labels = np.array([track.label for track in visible], np.int64)
        ids = np.array([track.id for track in visible], np.int64)
        return frame_instances(frame.shape[:2], logits, boxes, scores, labels, self.classes, ids)

    def _features(self, frame: NDArray[np.uint8]) -> Session:
        session = self._model.session(*network_size(frame.shape[:2], self.size))
        session.load_frame(np.ascontiguousarray(frame), bgr=self._swap)
        session.run_features()
        return session

    @property
    def _postprocessing(self) -> Postprocessing:
        return Postprocessing(self.weights.score_powers, self.duplicate_iou, self.components)

    def _thresholds(self, score_threshold: float | Sequence[float] | None) -> NDArray[np.float32]:
        chosen = self.weights.score_threshold if score_threshold is None else score_threshold
        return check_thresholds(chosen, len(self.classes))


class Stream:
    """Frames of one stream, taken one by one; made by :meth:`Segmenter.stream`."""

    def __init__(
        self, segmenter: Segmenter, every: int, thresholds: NDArray[np.float32], tracker: Tracker
    ) -> None:
        self._segmenter = segmenter
        self._every = every
        self._thresholds = thresholds
        self.tracker = tracker
        self.frames = 0

    def step(self, image: NDArray[np.uint8]) -> Instances:
        """The instances of the next frame, uint8 (H, W, 3), in order of their ids.

        Raises:
            TypeError, ValueError: with the frame's number, for a frame that is no image.
        """
        try:
            frame = check_frame(image)
        except (TypeError, ValueError) as error:
            raise type(error)(f"frame {self.frames}: {error}") from None
        self.frames += 1
        return self._segmenter._track_frame(frame, self._every, self._thresholds, self.tracker)


def network_size(frame: tuple[int, int], size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the network's input for a frame of (height, width) pixels.

    The shorter side becomes `size`, but the longer at most 4/3 of it; each side is rounded to the nearest
    multiple of 32. (height, width) is taken as it is.

    Example:
        >>> network_size((720, 1280), 640)
        (480, 864)
    """
    if isinstance(size, tuple):
        return size
    scale = min(size / min(frame), _LONGEST * size / max(frame))
    height, width = (max(1, math.floor(side * scale / _STRIDE + 0.5)) * _STRIDE for side in frame)
    return height, width


__all__ = ["MASK_LOGIT", "MASK_THRESHOLD", "Segmenter", "network_size"]
