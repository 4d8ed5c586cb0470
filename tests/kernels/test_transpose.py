"""Transposes, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    TIERS,
    WAYS,
    make,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("rows", [1, 3, 4, 7, 8, 31, 32, 33, 41, 96])
def test_transpose(tier: str, rows: int) -> None:
    for columns in (1, 2, 3, 4, 5, 8, 9, 17, 100):
        x = make(rows, columns)
        for padding, _ in WAYS:
            assert np.array_equal(kernels.transpose(x, tier=tier, padding=padding), x.T)
