"""A stand-in for the network that finds squares by their color, to construct what a tracker sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from mobileinst.engine import Precision

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColorSession:
    """One query for each color; the mask features of a pixel say which color it has."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.mask_size = -(-height // 8), -(-width // 8)
        self.features_run = 0
        self.instances_run = 0

    def load_frame(self, frame: np.ndarray, *, bgr: bool = False) -> None:
        rows = (np.arange(self.mask_size[0]) * frame.shape[0]) // self.mask_size[0]
        columns = (np.arange(self.mask_size[1]) * frame.shape[1]) // self.mask_size[1]
        pixels = frame[rows][:, columns][..., :: -1 if bgr else 1]
        self.maps = np.stack([(pixels == color).all(-1) for color in COLORS.values()])

    def run_features(self) -> None:
        self.features_run += 1

    def run_instances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.instances_run += 1
        logits = np.where(self.maps.any((1, 2)), 6, -6).astype(np.float32)
        class_logits = np.full((len(COLORS), 2), -9, np.float32)
        class_logits[:, 0] = logits
        return class_logits, logits, 20 * np.eye(len(COLORS), len(COLORS) + 1, dtype=np.float32)

    def mask_features(self) -> np.ndarray:
        return np.pad((2 * self.maps - 1).astype(np.float32), ((0, 1), (0, 0), (0, 0)))

    def mask_logits(self, kernels: np.ndarray, margin: float = 0.0) -> np.ndarray:
        return np.einsum("nd,dhw->nhw", kernels, self.mask_features()).astype(np.float32)

    def boxes(self, kernels: np.ndarray, margin: float = 0.0) -> None:
        return None


class ColorModel:
    """Takes the place of `engine.NativeModel`."""

    def __init__(self, weights: Any, *, threads: int | None = None, precision: str | None = None) -> None:
        self.precision = Precision()
        self.sessions: dict[tuple[int, int], ColorSession] = {}

    def session(self, height: int, width: int) -> ColorSession:
        return self.sessions.setdefault((height, width), ColorSession(height, width))


def scene(size: tuple[int, int] = (64, 96), **squares: tuple[int, int]) -> np.ndarray:
    """A grey frame with 24 x 24 squares: color name = (row, column) of the upper left corner."""
    frame = np.full((*size, 3), 90, np.uint8)
    for name, (row, column) in squares.items():
        frame[row : row + 24, max(column, 0) : max(column + 24, 0)] = COLORS[name]
    return frame
