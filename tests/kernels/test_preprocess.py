"""A frame resized and normalised, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.definitions import (
    TIERS,
    bilinear,
)
from tests.support.kernel_bindings import kernels


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize(
    ("size", "out"),
    [((1, 1), (1, 1)), ((1, 1), (5, 3)), ((17, 23), (32, 64)), ((90, 161), (32, 45)), ((5, 4), (5, 4))],
)
def test_preprocess(tier: str, bgr: bool, size: tuple[int, int], out: tuple[int, int]) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    got = kernels.preprocess(frame, *out, mean, std, bgr, tier=tier)
    ordered = frame[:, :, ::-1] if bgr else frame
    for c in range(3):
        expected = (bilinear(ordered[:, :, c].astype(np.float32), *out) - mean[c]) / std[c]
        np.testing.assert_allclose(got[c], expected, atol=1e-5)


def test_preprocess_takes_any_layout_and_checks_its_input() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (9, 8, 3), np.uint8)
    flipped = frame[:, ::-1]
    ones = [1.0, 1.0, 1.0]
    expected = kernels.preprocess(np.ascontiguousarray(flipped), 9, 8, ones, ones)
    assert (kernels.preprocess(flipped, 9, 8, ones, ones) == expected).all()
    with pytest.raises(TypeError, match="frame: expected a uint8 array"):
        kernels.preprocess(frame.astype(np.float32), 9, 8, ones, ones)
    with pytest.raises(ValueError, match=r"frame: expected a uint8 .*\(any, any, 3\).*got \(9, 8, 4\)"):
        kernels.preprocess(np.zeros((9, 8, 4), np.uint8), 9, 8, ones, ones)
    with pytest.raises(ValueError, match="std: expected values above 0, got 0"):
        kernels.preprocess(frame, 9, 8, ones, [1.0, 0.0, 1.0])
