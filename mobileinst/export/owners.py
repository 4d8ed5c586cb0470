"""Who owns a pixel where masks overlap, for formats that give each pixel to one instance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..results import Instances


def owner_map(instances: Instances) -> NDArray[np.int64]:
    """Which instance owns each pixel: int64 (H, W), index + 1, 0 for none; the better score wins."""
    owners = np.zeros(instances.size, np.int64)
    for i in np.argsort(instances.scores, kind="stable"):
        owners[instances.mask(i)] = i + 1
    return owners
