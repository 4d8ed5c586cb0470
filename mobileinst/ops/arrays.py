"""Arguments of the NumPy-level operations: checks, and the way between (C, H, W) and (H, W, C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Size = tuple[int, int]


def over_batch(x: Array, run: Callable[[Array], Array], out: Array | None) -> Array:
    """Apply an operation on (H, W, C) to a map (C, H, W) or to each of a batch."""
    x = map_array(x, "x")
    results = [run(to_pixels(image)) for image in (x[None] if x.ndim == 3 else x)]
    height, width, channels = results[0].shape
    shape = (channels, height, width) if x.ndim == 3 else (len(results), channels, height, width)
    out = np.empty(shape, np.float32) if out is None else output_array(out, shape)
    for target, result in zip(out[None] if x.ndim == 3 else out, results, strict=True):
        np.copyto(target, result.transpose(2, 0, 1))
    return out


def to_pixels(planes: Array) -> Array:
    """(C, H, W) to (H, W, C)."""
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def to_planes(pixels: Array) -> Array:
    """(H, W, C) to (C, H, W)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def float_array(x: Any, name: str, ndim: int | None, *, empty: bool = False) -> Array:
    """The argument, if it is a float32 array of that many dimensions."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array of float32, got {type(x).__name__}")
    if x.dtype != np.float32:
        raise TypeError(f"{name}: expected float32, got {x.dtype}; convert it by .astype(np.float32)")
    if (ndim is not None and x.ndim != ndim) or not (x.size or empty):
        expected = f"{ndim} dimensions" if ndim is not None else "an array"
        raise ValueError(f"{name}: expected {expected} of at least one value, got shape {x.shape}")
    return x


def map_array(x: Any, name: str) -> Array:
    """The argument, if it is a map (C, H, W) or a batch (N, C, H, W)."""
    found = float_array(x, name, None)
    if found.ndim not in (3, 4):
        raise ValueError(f"{name}: expected shape (C, H, W) or (N, C, H, W), got {found.shape}")
    return found


def size_argument(size: Any) -> Size:
    """(height, width) as integers."""
    try:
        height, width = size
        valid = all(int(side) == side and side >= 1 for side in (height, width))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"size: expected (height, width), each at least 1, got {size!r}")
    return int(height), int(width)


def attention_scale(scale: float | None, channels: int, heads: int) -> float:
    """The given scale, or d ** -0.5 of the channels of a head."""
    if type(heads) is not int or heads < 1 or channels % heads:
        raise ValueError(f"heads: expected a divisor of {channels}, got {heads!r}")
    return float(channels // heads) ** -0.5 if scale is None else float(scale)


def output_array(out: Any, shape: tuple[int, ...]) -> Array:
    """The argument, if results of that shape may be written into it."""
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"out: expected a float32 array, got {getattr(out, 'dtype', type(out).__name__)}")
    if out.shape != shape or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"out: expected a writeable array {shape} in C order, got shape {out.shape}")
    return out
