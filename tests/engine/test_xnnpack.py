"""XNNPACK's operators against the definition, and their results for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from tests.support.kernel_bindings import timing, xnnpack

pytestmark = pytest.mark.skipif(not _native.has_xnnpack(), reason="this build has no XNNPACK")

Array = NDArray[np.float32]
CLAMP = {None: (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}


def _random(*shape: int) -> Array:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def _convolution(x: Array, weight: Array, bias: Array, stride: int, groups: int) -> NDArray[np.float64]:
    outputs, inputs, kernel, _ = weight.shape
    padded = np.pad(x.astype(np.float64), ((kernel // 2,) * 2,) * 2 + ((0, 0),))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (0, 1))[::stride, ::stride]
    windows = windows.reshape(*windows.shape[:2], groups, inputs, kernel, kernel)
    split = weight.reshape(groups, outputs // groups, inputs, kernel, kernel)
    return np.einsum("hwgikl,goikl->hwgo", windows, split).reshape(*windows.shape[:2], outputs) + bias


@pytest.mark.parametrize("activation", CLAMP)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("size", "channels", "outputs", "kernel", "groups"),
    [
        ((7, 9), 3, 16, 3, 1),
        ((1, 1), 8, 5, 3, 1),
        ((13, 5), 17, 33, 1, 1),
        ((12, 16), 16, 16, 3, 16),
        ((9, 7), 19, 19, 5, 19),
        ((6, 6), 8, 12, 3, 2),
    ],
)
def test_convolution(
    size: tuple[int, int],
    channels: int,
    outputs: int,
    kernel: int,
    groups: int,
    stride: int,
    activation: str | None,
) -> None:
    x, bias = _random(*size, channels), _random(outputs)
    weight = _random(outputs, channels // groups, kernel, kernel)
    expected = np.clip(_convolution(x, weight, bias, stride, groups), *CLAMP[activation])
    options = {"stride": stride, "groups": groups, "activation": activation}
    result = xnnpack.convolution(x, weight, bias, **options)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)
    threaded = xnnpack.convolution(x, weight, bias, **options, threads=3)
    np.testing.assert_array_equal(threaded, result)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (7, 33, 17), (100, 256, 80), (65, 64, 3)])
@pytest.mark.parametrize("activation", CLAMP)
def test_linear(rows: int, inputs: int, outputs: int, activation: str | None) -> None:
    x, weight, bias = _random(rows, inputs), _random(outputs, inputs), _random(outputs)
    expected = np.clip(x.astype(np.float64) @ weight.T + bias, *CLAMP[activation])
    result = xnnpack.linear(x, weight, bias, activation=activation)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)
    threaded = xnnpack.linear(x, weight, bias, activation=activation, threads=4)
    np.testing.assert_array_equal(threaded, result)


def test_unsupported_activation_is_refused() -> None:
    for activation in ("hard_sigmoid", "silu"):
        with pytest.raises(ValueError, match=f"expected no activation, relu or relu6, got {activation}"):
            xnnpack.linear(_random(2, 2), _random(2, 2), _random(2), activation=activation)


@pytest.mark.parametrize(
    "shape", [(8, 2, 3, 3), (8, 3, 2, 2), (8, 3, 4, 4), (8, 3, 3, 1), (8, 6, 3, 3)], ids=str
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"weight: expected \(O, channels / groups, k, k\) with odd k, got"):
        xnnpack.convolution(_random(4, 4, 3), _random(*shape), _random(8))
    with pytest.raises(ValueError, match=r"weight: expected"):
        timing.xnnpack("conv3x3", _random(4, 4, 3), _random(*shape))


@pytest.mark.parametrize("features", [2, 9])
def test_a_matrix_that_does_not_fit_is_not_timed(features: int) -> None:
    with pytest.raises(ValueError, match=r"weight: expected a float32 array of shape \(any, 8\)"):
        timing.xnnpack("gemm", _random(4, 8), _random(5, features))
