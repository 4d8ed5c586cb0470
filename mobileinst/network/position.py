"""Sine position embedding of the instance decoder's keys (DETR's, spec c.3)."""

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
