"""Random parameters that are equal on every machine and keep activations near unit size, for parity tests."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from mobileinst.network.config import ModelConfig
from mobileinst.network.counter import tensor_shapes


def random_tensors(config: ModelConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """All tensors of a configuration under their official names; batch norms are neither unit nor centred."""
    return {
        name: _tensor(np.random.default_rng([seed, zlib.crc32(name.encode())]), name, shape)
        for name, shape in tensor_shapes(config).items()
    }


def random_input(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """A normalised image, float32 (3, height, width): smooth, so that features differ between regions."""
    rng = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[:height, :width].astype(np.float32) / 16
    waves = [np.sin(y * a + b) * np.cos(x * c + b) for a, b, c in rng.uniform(0.2, 2.0, (3, 3))]
    return np.asarray(np.stack(waves) + 0.3 * rng.standard_normal((3, height, width)), np.float32)


def _tensor(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    kind = name.rpartition(".")[2]
    if kind == "running_var":
        values = rng.uniform(0.8, 1.25, shape)
    elif kind in ("running_mean", "bias"):
        values = 0.1 * rng.standard_normal(shape)
    elif kind == "weight" and len(shape) == 1:
        values = rng.uniform(0.8, 1.25, shape)
    elif len(shape) > 1:
        values = rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    else:
        values = rng.standard_normal(shape)
    return np.asarray(values, np.float32)
