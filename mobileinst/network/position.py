"""Position embeddings: the instance decoder's sines (DETR's), SeaFormer's learned and interpolated ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sine_position_embedding(size: tuple[int, int], channels: int) -> NDArray[np.float32]:
    """Sine embedding of a grid of positions.

    The first half of the channels encodes y, the second x; coordinates run from 1 to h, divided by h + 1e-6
    and times 2 pi; even channels are sines, odd ones cosines.

    Args:
        size: Height and width of the grid.
        channels: A multiple of 4.

    Returns:
        float32 (h * w, channels), rows in reading order.

    Raises:
        ValueError: for a size or a number of channels that is not as said.

    Example:
        >>> sine_position_embedding((1, 2), 4).round(2) + 0.0
        array([[ 0.,  1.,  0., -1.],
               [ 0.,  1.,  0.,  1.]], dtype=float32)
    """
    height, width = size
    if channels % 4 or channels < 4 or height < 1 or width < 1:
        raise ValueError(
            f"expected a size of at least (1, 1) and channels a multiple of 4; got {size} and {channels}"
        )
    half = channels // 2
    frequency = 10000.0 ** (2.0 * (np.arange(half) // 2) / half)

    def encode(count: int) -> NDArray[np.float64]:
        position = np.arange(1, count + 1) / (count + 1e-6) * 2.0 * np.pi
        angle = position[:, None] / frequency[None, :]
        return np.where(np.arange(half) % 2 == 0, np.sin(angle), np.cos(angle))

    grid = np.empty((height, width, channels), np.float32)
    grid[:, :, :half] = encode(height)[:, None, :]
    grid[:, :, half:] = encode(width)[None, :, :]
    return grid.reshape(height * width, channels)


#: Sines and cosines of 1, 2, 4 and 8 half turns over a side.
_HALF_TURNS = np.array([1.0, 2.0, 4.0, 8.0]) * np.pi


def box_frequencies(centres: NDArray[np.floating]) -> NDArray[np.float32]:
    """Sines and cosines of centres (N, 2), shares of the image's sides: float32 (N, 16).

    Example:
        >>> box_frequencies(np.array([[0.0, 0.5]]))[0, [0, 4, 8, 12]].round(2).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    angle = centres[:, :, None] * _HALF_TURNS
    waves = np.concatenate([np.sin(angle), np.cos(angle)], 2)  # (N, 2, 8)
    return waves.reshape(len(centres), -1).astype(np.float32)


def interpolate_positions(table: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Learned positions of axial attention at the length of an axis (SeaFormer, linear, half-pixel).

    Args:
        table: (C, P), the learned embeddings.
        length: Rows or columns, at least 1.

    Returns:
        float32 (length, C).

    Raises:
        ValueError: for a table or a length that is not as said.

    Example:
        >>> interpolate_positions(np.float32([[0, 4]]), 4).tolist()
        [[0.0], [1.0], [3.0], [4.0]]
    """
    if table.ndim != 2 or not table.size or length < 1:
        raise ValueError(
            f"expected a table (C, P) and a length of at least 1; got {table.shape} and {length}"
        )
    count = table.shape[1]
    source = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    low = np.minimum(source.astype(np.int64), max(count - 2, 0))
    high = np.minimum(low + 1, count - 1)
    weight = (source - low)[:, None]
    rows = table.T.astype(np.float64)
    return np.ascontiguousarray(rows[low] * (1 - weight) + rows[high] * weight, np.float32)
