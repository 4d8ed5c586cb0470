"""XNNPACK's operators against the definition, and their results for any number of threads."""

from __future__ import annotations

from typing import Any

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


def _whole(*shape: int, low: int = -128, high: int = 127) -> Array:
    return np.random.default_rng(shape).integers(low, high + 1, shape).astype(np.float32)


def _rounded(
    sums: NDArray[np.float64], scales: Array, x_scale: float, to: tuple[float, int], activation: str | None
) -> NDArray[np.float64]:
    """The output's integers: sums as multiples of its scale, rounded, then its zero added, and limited."""
    scale = np.float32(x_scale) * scales / np.float32(to[0])
    whole = np.rint(sums.astype(np.float32) * scale).astype(np.float64) + to[1]
    low, high = CLAMP[activation]
    low, high = (value / to[0] + to[1] for value in (low, high))
    result: NDArray[np.float64] = np.clip(np.clip(whole, low, np.rint(high)), -128, 127)
    return result


@pytest.mark.parametrize("activation", CLAMP)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("size", "channels", "outputs", "kernel", "groups"),
    [
        ((7, 9), 3, 16, 3, 1),
        ((1, 1), 8, 5, 3, 1),
        ((13, 5), 17, 33, 1, 1),
        ((12, 16), 16, 16, 3, 16),
        ((9, 7), 35, 35, 5, 35),
        ((6, 6), 8, 12, 3, 2),
    ],
)
def test_convolution_of_integers(
    size: tuple[int, int],
    channels: int,
    outputs: int,
    kernel: int,
    groups: int,
    stride: int,
    activation: str | None,
) -> None:
    taps = channels // groups * kernel * kernel
    x, bias = _whole(*size, channels), _whole(outputs, low=-1000, high=1000)
    weight = _whole(outputs, channels // groups, kernel, kernel, low=-127)
    scales = np.linspace(0.01, 0.02, outputs, dtype=np.float32)
    source, target = (0.05, -7), (0.05 * np.sqrt(taps), -21)
    sums = _convolution(x - source[1], weight, bias, stride, groups)
    expected = _rounded(sums, scales, source[0], target, activation)
    assert expected.size < 20 or expected.std() > 5
    options: dict[str, Any] = {"stride": stride, "groups": groups, "activation": activation}
    options["quantisation"] = source, scales, target
    result = xnnpack.convolution(x, weight, bias, **options)
    np.testing.assert_array_equal(result, expected)
    threaded = xnnpack.convolution(x, weight, bias, **options, threads=3)
    np.testing.assert_array_equal(threaded, result)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (7, 33, 17), (100, 256, 80), (65, 64, 3)])
@pytest.mark.parametrize("activation", CLAMP)
def test_linear_of_integers(rows: int, inputs: int, outputs: int, activation: str | None) -> None:
    x, weight, bias = _whole(rows, inputs), _whole(outputs, inputs, low=-127), _whole(outputs)
    scales = np.linspace(0.01, 0.02, outputs, dtype=np.float32)
    source, target = (0.05, 4), (0.05 * np.sqrt(inputs), -128)
    sums = (x - source[1]).astype(np.float64) @ weight.T + bias
    quantisation = source, scales, target
    result = xnnpack.linear(x, weight, bias, activation=activation, quantisation=quantisation)
    np.testing.assert_array_equal(result, _rounded(sums, scales, source[0], target, activation))
    threaded = xnnpack.linear(x, weight, bias, activation=activation, threads=4, quantisation=quantisation)
    np.testing.assert_array_equal(threaded, result)


def test_integers_that_are_none_are_refused() -> None:
    ones = np.ones((2, 2), np.float32)
    quantisation = (1.0, 0), ones[0], (1.0, 0)
    for wrong in (0.5, 128.0, np.nan):
        with pytest.raises(ValueError, match="x: expected whole numbers of the type, got"):
            xnnpack.linear(wrong * ones, ones, ones[0], quantisation=quantisation)
    with pytest.raises(ValueError, match=r"quantisation: expected a float32 array of shape \(2,\)"):
        xnnpack.linear(ones, ones, ones[0], quantisation=((1.0, 0), ones, (1.0, 0)))


def test_unsupported_activation_is_refused() -> None:
    ones = np.ones((2, 2), np.float32)
    for activation in ("hard_sigmoid", "silu"):
        for quantisation in (None, ((1.0, 0), ones[0], (1.0, 0))):
            options = {"activation": activation, "quantisation": quantisation}
            with pytest.raises(ValueError, match=f"expected no activation, relu or relu6, got {activation}"):
                xnnpack.linear(ones, ones, ones[0], **options)


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
