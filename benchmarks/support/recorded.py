"""A network that runs once per frame and is replayed, to measure many trackers on one recording."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst.network.selection import windowed_logits


class RecordedModel:
    """Stands in for the network of a Segmenter; a frame is known again as the same array object.

    milliseconds: times of the features and of the instances, one entry per frame that was run.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._outputs: dict[tuple[int, ...], tuple[Any, ...]] = {}
        self.milliseconds: dict[str, list[float]] = {"features": [], "instances": []}

    def session(self, height: int, width: int) -> _RecordedSession:
        """A session of the network for this size of input."""
        return _RecordedSession(self, self._model.session(height, width))

    def forget(self) -> None:
        """Drop the outputs of the frames so far."""
        self._outputs.clear()

    def outputs(self, session: Any, frame: NDArray[np.uint8], bgr: bool) -> tuple[Any, ...]:
        """Class logits, objectness logits, kernels and mask features of a frame."""
        key = (id(frame), session.height, session.width, bgr)
        if key not in self._outputs:
            begin = time.perf_counter()
            session.load_frame(frame, bgr=bgr)
            session.run_features()
            middle = time.perf_counter()
            instances = session.run_instances()
            end = time.perf_counter()
            self.milliseconds["features"].append(1000 * (middle - begin))
            self.milliseconds["instances"].append(1000 * (end - middle))
            # The frame is kept too, so that no other one can take its address.
            self._outputs[key] = (*instances, np.array(session.mask_features()), frame)
        return self._outputs[key]


class _RecordedSession:
    def __init__(self, model: RecordedModel, session: Any) -> None:
        self._model, self._session = model, session
        self.height, self.width = session.height, session.width
        self._now: tuple[Any, ...] = ()

    def load_frame(self, frame: NDArray[np.uint8], *, bgr: bool = False) -> None:
        self._now = self._model.outputs(self._session, frame, bgr)

    def run_features(self) -> None:
        """Done by load_frame."""

    def run_instances(self) -> tuple[Any, ...]:
        return self._now[:3]

    def mask_features(self) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self._now[3]
        return features

    def boxes(self, kernels: NDArray[np.float32], margin: float = 0.0) -> NDArray[np.float32] | None:
        boxes: NDArray[np.float32] | None = self._session.boxes(kernels, margin)
        return boxes

    def mask_logits(self, kernels: NDArray[np.float32], margin: float = 0.0) -> NDArray[np.float32]:
        depth, height, width = self._now[3].shape
        if not len(kernels):
            return np.zeros((0, height, width), np.float32)
        if self.boxes(kernels) is not None:
            return windowed_logits(kernels, self._now[3], margin)
        logits: NDArray[np.float32] = kernels @ self._now[3].reshape(depth, height * width)
        return logits.reshape(-1, height, width)
