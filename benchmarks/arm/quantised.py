"""Ranges for the 8-bit integers of a network of random weights, from noise like that which it is run on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobileinst.weights import load_weights, read_safetensors, save_weights
from weights_tools.quantise import choose_ranges, observe, with_ranges

#: Images that ranges are taken from.
_IMAGES = 8


def add_ranges(weights: Path, size: int) -> Path:
    """A copy of a weights file, beside it, that has ranges for the network at that size."""
    model = load_weights(weights)
    random = np.random.default_rng(11)
    frames = (random.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(_IMAGES))
    choices, _ = choose_ranges(observe(model, frames))
    target = weights.with_name(f"{weights.stem}-ranges{weights.suffix}")
    tensors, _ = read_safetensors(weights)
    save_weights(target, tensors, with_ranges(model.metadata, choices))
    return target
