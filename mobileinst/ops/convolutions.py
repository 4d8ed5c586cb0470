"""Convolution, linear layer and batch-norm folding of :mod:`mobileinst.ops`."""

from __future__ import annotations

import numpy as np

from .. import _native
from ..network.batch_norm import fold
from ..network.ops import NORM_EPS, Activation
from .arrays import Array, float_array, map_array, output_array, over_batch
from .node import run_node


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Convolution with padding ``k // 2``, as the network uses it; dense, grouped or depthwise.

    Dense 1x1 runs as a matrix product, dense 3x3 at stride 1 by Winograd's algorithm (its rounding differs
    from the plain sum by some 1e-6 of the largest value), one filter per channel natively as depthwise.

    Args:
        x: Map (C, H, W) or batch (N, C, H, W).
        weight: (O, C / groups, k, k), k odd.
        bias: (O,).
        stride: At least 1.
        groups: Divides C and O.
        activation: None, "relu", "relu6", "hard_sigmoid" or "silu".
        out: Where to write.

    Returns:
        (O, H', W') or (N, O, H', W'), H' = (H - 1) // stride + 1.

    Example:
        >>> x = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
        >>> conv2d(x, np.ones((1, 1, 3, 3), np.float32)).round().astype(int)[0]
        array([[ 8, 15, 12],
               [21, 36, 27],
               [20, 33, 24]])
        >>> conv2d(x, np.ones((1, 1, 1, 1), np.float32), stride=2, activation="relu6")[0]
        array([[0., 2.],
               [6., 6.]], dtype=float32)
    """
    weight = float_array(weight, "weight", 4)
    channels = map_array(x, "x").shape[-3]
    if type(groups) is not int or groups < 1 or channels % groups or weight.shape[0] % groups:
        raise ValueError(
            f"groups: expected a divisor of {channels} and {weight.shape[0]} channels, got {groups!r}"
        )
    if (
        weight.shape[1] != channels // groups
        or weight.shape[2] != weight.shape[3]
        or weight.shape[2] % 2 == 0
    ):
        raise ValueError(
            f"weight: expected shape (O, {channels // groups}, k, k) with odd k, got {weight.shape}"
        )
    if type(stride) is not int or stride < 1:
        raise ValueError(f"stride: expected an integer of at least 1, got {stride!r}")
    height, width = x.shape[-2:]
    tile = _native.winograd_tile(height, width)
    packed = _native.ConvWeights(weight, bias, stride, groups, winograd_tile=tile)
    shape = (height - 1) // stride + 1, (width - 1) // stride + 1, weight.shape[0]

    def run(image: Array) -> Array:
        return run_node("conv", [image], shape, activation=activation, weights=packed)

    return over_batch(x, run, out)


def linear(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Linear layer ``x @ weight.T + bias`` over tokens.

    Args:
        x: (N, I).
        weight: (O, I).
        bias: (O,).
        activation: None, "relu", "relu6", "hard_sigmoid" or "silu".
        out: Where to write.

    Returns:
        (N, O).

    Example:
        >>> linear(np.float32([[1, 2]]), np.float32([[3, 4], [0, -1]]), np.float32([0, 1]), activation="relu")
        array([[11.,  0.]], dtype=float32)
    """
    x, weight = float_array(x, "x", 2), float_array(weight, "weight", 2)
    if out is not None:
        out = output_array(out, (len(x), len(weight)))
    if weight.shape[1] != x.shape[1]:
        raise ValueError(f"weight: expected shape (O, {x.shape[1]}), got {weight.shape}")
    packed = _native.ConvWeights(weight[:, :, None, None], bias)
    y = run_node("conv", [x], (len(x), len(weight)), activation=activation, weights=packed)
    if out is None:
        return y
    np.copyto(out, y)
    return out


def fold_batch_norm(
    weight: Array,
    bias: Array | None,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float = NORM_EPS,
) -> tuple[Array, Array]:
    """Weight and bias of a convolution that includes the batch norm behind it.

    Args:
        weight: (O, ...), of a convolution or linear layer.
        bias: (O,) or None.
        gamma, beta, mean, variance: (O,), the norm's weight, bias and running statistics.
        eps: Added to the variance.

    Returns:
        Weight like ``weight`` and bias (O,), computed in double precision and rounded once.

    Example:
        >>> one = np.ones(1, np.float32)
        >>> weight, bias = fold_batch_norm(np.float32([[4]]), None, 3 * one, one, 2 * one, 9 * one, eps=0)
        >>> weight, bias
        (array([[4.]], dtype=float32), array([-1.], dtype=float32))
    """
    count = float_array(weight, "weight", None).shape[0] if np.ndim(weight) else 0
    if not count:
        raise ValueError("weight: expected shape (O, ...), got a scalar or an empty array")
    named = {"bias": bias, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    for name, value in named.items():
        if value is not None and float_array(value, name, 1).shape != (count,):
            raise ValueError(f"{name}: expected shape ({count},), got {value.shape}")
    if (variance + np.float64(eps) <= 0).any():
        raise ValueError(f"variance: expected values above {-eps}, got {variance.min()}")
    return fold(weight, bias, (gamma, beta, mean, variance), eps)
