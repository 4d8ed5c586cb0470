"""Levels of places, and the rows that NumPy selects from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mobileinst.network import selection

Array = NDArray[np.float32]
GRIDS = ((6, 9), (3, 5), (2, 3))
GROUPS = (1, 3, 2)
FEATURES = 7


def make_places(seed: int = 0) -> dict[str, list[Array]]:
    """Levels of places with logits, boxes and features."""
    rng = np.random.default_rng(seed)
    counts = [height * width for height, width in GRIDS]
    boxes = [np.concatenate([rng.uniform(0, 1, (n, 2)), rng.uniform(-4, -0.5, (n, 2))], 1) for n in counts]
    return {
        "kinds": [rng.normal(0, 2, (n, sum(GROUPS))).astype(np.float32) for n in counts],
        "objectness": [rng.normal(0, 2, (n, 1)).astype(np.float32) for n in counts],
        "boxes": [box.astype(np.float32) for box in boxes],
        "features": [rng.normal(0, 1, (n, FEATURES)).astype(np.float32) for n in counts],
    }


def numpy_rows(levels: dict[str, list[Array]], count: int) -> Array:
    flat = [x[:, 0] for x in levels["objectness"]]
    return selection.select(levels["kinds"], flat, levels["boxes"], levels["features"], GROUPS, count)
