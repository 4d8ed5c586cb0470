"""Motion blur of training images: the camera moves, the objects do, or the camera follows them (ours).

Videos have such frames and photographs hardly any; without them a detector takes the ground that rushes past
a runner for a part of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The shortest blur, in pixels.
_LEAST = 3.0


def smear(values: NDArray[np.float32], length: float, angle: float) -> NDArray[np.float32]:
    """Means along a straight path through each place; borders are continued.

    Args:
        values: float32 (H, W, C).
        length: Of the path, in pixels.
        angle: Of the path, in radians.
    """
    height, width = values.shape[:2]
    taps = int(np.ceil(length)) + 1
    along = np.linspace(-length / 2, length / 2, taps)
    dx, dy = np.rint(along * np.cos(angle)).astype(int), np.rint(along * np.sin(angle)).astype(int)
    margin = int(max(np.abs(dx).max(), np.abs(dy).max()))
    padded = np.pad(values, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    total = np.zeros_like(values)
    for x, y in zip(dx + margin, dy + margin, strict=True):
        total += padded[y : y + height, x : x + width]
    return total / np.float32(taps)


def motion_blur(
    image: NDArray[np.uint8], objects: NDArray[np.float32], most: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """An image blurred along one direction: half of the time all of it, else its objects or all but these.

    Args:
        image: uint8 (S, S, 3).
        objects: float32 (S/n, S/n), the share of each cell that objects cover.
        most: The longest blur as a share of S.
    """
    size = image.shape[0]
    length = float(rng.uniform(_LEAST, max(most * size, _LEAST)))
    angle, what = float(rng.uniform(0.0, np.pi)), rng.random()
    pixels = image.astype(np.float32)
    if what < 0.5 or not objects.any():
        out = smear(pixels, length, angle)
    else:
        cell = size // objects.shape[0]
        alpha = objects.repeat(cell, 0).repeat(cell, 1)[..., None]
        if what < 0.75:
            out = smear(pixels * alpha, length, angle) + pixels * (1.0 - smear(alpha, length, angle))
        else:
            out = pixels * alpha + smear(pixels, length, angle) * (1.0 - alpha)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
