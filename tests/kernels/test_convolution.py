"""What all convolutions have in common: which kernel computes one, and weights that contradict themselves."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "stride", "groups", "kind"),
    [
        (8, 16, 1, 1, 1, "gemm"),
        (8, 16, 3, 1, 1, "conv3x3"),
        (8, 8, 5, 2, 8, "depthwise"),
        (1, 1, 3, 1, 1, "conv3x3"),
        (8, 16, 1, 2, 1, "conv_direct"),
        (8, 16, 3, 2, 1, "conv_direct"),
        (8, 16, 3, 1, 8, "conv_direct"),
    ],
)
def test_kind(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, kind: str) -> None:
    assert _native.conv_kind(in_channels, out_channels, kernel, stride, groups) == kind


@pytest.mark.parametrize("shape", [(4, 2, 2, 2), (4, 2, 3, 5)])
def test_weights_of_no_odd_square_kernel_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="odd k"):
        _native.ConvWeights(np.zeros(shape, np.float32))


def test_groups_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="groups"):
        _native.ConvWeights(np.zeros((4, 2, 3, 3), np.float32), groups=3)
