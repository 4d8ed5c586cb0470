"""Checks of what users pass in: each error says what was expected, what came, and how to convert it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPECTED_FRAME = "expected an image as NumPy array uint8 (height, width, 3)"
#: Least and greatest side of the network's input.
SIZE_LIMITS = (32, 4096)
#: Longest side of a frame (kMaxSide in src/cpp/bindings/bindings.h).
MAX_SIDE = 65535


def check_frame(image: Any) -> NDArray[np.uint8]:
    """The image itself, if it is uint8 (H, W, 3) with at least one pixel.

    Raises:
        TypeError: if it is no NumPy array.
        ValueError: for another dtype or shape.
    """
    if not isinstance(image, np.ndarray):
        hint = {
            "str": "; mobileinst.video.open_source reads files",
            "PosixPath": "; mobileinst.video.open_source reads files",
            "Tensor": "; convert it by tensor.cpu().numpy()",
            "memoryview": "; convert it by np.asarray(image)",
            "bytes": "; mobileinst.video.read_image reads files",
            "list": "; convert it by np.asarray(image, np.uint8)",
            "tuple": "; convert it by np.asarray(image, np.uint8)",
            "VideoFrame": '; convert it by frame.to_ndarray(format="rgb24")',
        }.get(type(image).__name__, "")
        if hasattr(image, "convert") and hasattr(image, "getbands"):
            hint = '; convert it by np.asarray(image.convert("RGB"))'
        raise TypeError(f"{EXPECTED_FRAME}, got {type(image).__name__}{hint}")
    shape = image.shape
    if image.ndim == 3 and shape[2] == 3 and image.dtype == np.uint8 and image.size:
        if max(shape) > MAX_SIDE:
            raise ValueError(f"expected an image with sides of at most {MAX_SIDE} pixels, got {_what(image)}")
        return image
    raise ValueError(f"{EXPECTED_FRAME}, got {_what(image)}{_remedy(image)}")


def check_network_input(x: Any) -> NDArray[np.float32]:
    """The array itself, C-contiguous, if it is float32 (3, H, W) with at least one pixel.

    That its values are finite is left to the engine, which looks at each of them when it takes the image.

    Raises:
        TypeError: if it is no NumPy array.
        ValueError: for another dtype or shape.
    """
    expected = "expected a normalised image as NumPy array float32 (3, height, width)"
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{expected}, got {type(x).__name__}")
    if x.dtype != np.float32 or x.ndim != 3 or x.shape[0] != 3 or not x.size:
        hint = ""
        if x.ndim == 4 and x.shape[:2] == (1, 3):
            hint = "; convert it by x[0]"
        elif x.ndim == 3 and x.shape[2] == 3 and x.shape[0] != 3:
            hint = "; convert it by x.transpose(2, 0, 1)"
        raise ValueError(f"{expected}, got {_what(x)}{hint}")
    return np.ascontiguousarray(x)


def check_size(size: Any) -> int | tuple[int, int]:
    """The size of the network's input: a length in pixels, or (height, width).

    Raises:
        ValueError: for anything else or out of 32..4096.
    """
    low, high = SIZE_LIMITS
    values = list(size) if isinstance(size, (tuple, list)) else [size]
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if not whole or (isinstance(size, (tuple, list)) and len(values) != 2):
        raise ValueError(f"size must be an int (of the shorter side) or (height, width), got {size!r}")
    if not all(low <= v <= high for v in values):
        raise ValueError(f"size must be in {low}..{high}, got {size!r}")
    return (int(values[0]), int(values[1])) if len(values) == 2 else int(values[0])


def check_thresholds(value: float | Sequence[float], classes: int) -> NDArray[np.float32]:
    """Score thresholds of all classes, float32 (classes,), from one number or one for each class.

    Raises:
        ValueError: for numbers out of 0..1 or a wrong count.
    """
    try:
        thresholds = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"score_threshold must be a number in 0..1, got {value!r}") from None
    if thresholds.ndim and thresholds.shape != (classes,):
        raise ValueError(f"score_threshold must be one number or {classes}, got shape {thresholds.shape}")
    if not ((thresholds >= 0) & (thresholds <= 1)).all():
        raise ValueError(f"score_threshold must be in 0..1, got {value!r}")
    return np.array(np.broadcast_to(thresholds, (classes,)))


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number of at least `least`, and at most `most`.

    Raises:
        ValueError: for anything else.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return int(value)


def check_number(
    name: str, value: Any, low: float, high: float, expected: str, *, above: bool = False
) -> float:
    """A number from `low` (with `above`: above it) to `high`, finite; `expected` says so in the error.

    Raises:
        ValueError: for anything else.
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not low <= value <= high or (above and value == low) or abs(value) == math.inf:
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return float(value)


def _what(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}" if array.size else f"an empty array of shape {array.shape}"


def _remedy(image: NDArray[Any]) -> str:
    shape = image.shape
    if not image.size:
        return ""
    if image.ndim == 4 and shape[0] == 1:
        return "; convert it by image[0]"
    if image.ndim == 4:
        return "; a batch of frames goes to track(), one frame at a time to segment()"
    if image.ndim == 2:
        return " (grey); convert it by np.stack([image] * 3, axis=-1)"
    if image.ndim == 3 and shape[2] == 1:
        return " (grey); convert it by np.repeat(image, 3, axis=2)"
    if image.ndim == 3 and shape[2] == 4:
        return " (with alpha); convert it by np.ascontiguousarray(image[..., :3])"
    if image.ndim == 3 and shape[2] != 3 and shape[0] in (1, 3, 4):
        return " (channels first); convert it by np.ascontiguousarray(image.transpose(1, 2, 0))"
    if image.ndim == 3 and shape[2] == 3 and image.dtype.kind == "f":
        top = float(np.nanmax(image)) if not np.isnan(image).all() else 0.0
        scale = "image" if top > 1.5 else "image * 255"
        return f"; convert it by ({scale}).round().clip(0, 255).astype(np.uint8)"
    if image.ndim == 3 and shape[2] == 3 and image.dtype == np.uint16:
        return "; convert it by (image >> 8).astype(np.uint8)"
    if image.ndim == 3 and shape[2] == 3 and image.dtype.kind in "iu":
        return "; convert it by image.astype(np.uint8)"
    return ""
