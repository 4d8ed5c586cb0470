"""Single operations on maps and tokens: normalisation, pooling, resizing, activations, mask products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..network.ops import NORM_EPS, Activation
from .arrays import Array, Size, float_array, output_array, over_batch, size_argument, to_pixels
from .node import mask_logits, run_node


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = NORM_EPS) -> Array:
    """Layer norm over the channels of tokens, in one pass over each.

    Args:
        x: (N, C).
        weight, bias: (C,).
        eps: Added to the variance.

    Returns:
        (N, C).

    Example:
        >>> layer_norm(np.float32([[1, 3]]), np.ones(2, np.float32), np.zeros(2, np.float32)).round(3)
        array([[-1.,  1.]], dtype=float32)
    """
    x = float_array(x, "x", 2)
    for name, value in (("weight", weight), ("bias", bias)):
        if float_array(value, name, 1).shape != x.shape[1:]:
            raise ValueError(f"{name}: expected shape {x.shape[1:]}, got {value.shape}")
    return run_node("layer_norm", [x], x.shape, weight=weight, bias=bias, eps=float(eps))


def adaptive_average_pool(x: Array, size: Size, *, out: Array | None = None) -> Array:
    """Averages over PyTorch's adaptive bins: from floor(i * H / h) to ceil((i + 1) * H / h).

    Args:
        x: Map (C, H, W) or batch (N, C, H, W).
        size: (h, w) of the result.
        out: Where to write.

    Returns:
        (C, h, w) or (N, C, h, w).

    Example:
        >>> adaptive_average_pool(np.arange(5, dtype=np.float32).reshape(1, 1, 5), (1, 2))
        array([[[1., 3.]]], dtype=float32)
    """
    return _to_size("average_pool", x, size, out)


def adaptive_max_pool(x: Array, size: Size, *, out: Array | None = None) -> Array:
    """Maxima over PyTorch's adaptive bins; shapes as for :func:`adaptive_average_pool`.

    Example:
        >>> adaptive_max_pool(np.arange(5, dtype=np.float32).reshape(1, 1, 5), (1, 2))
        array([[[2., 4.]]], dtype=float32)
    """
    return _to_size("max_pool", x, size, out)


def resize_bilinear(x: Array, size: Size, *, out: Array | None = None) -> Array:
    """Bilinear resize with half-pixel centres and clamped edges, no antialias (PyTorch's default).

    Shapes as for :func:`adaptive_average_pool`.

    Example:
        >>> resize_bilinear(np.float32([[[0, 4]]]), (1, 4))
        array([[[0., 1., 3., 4.]]], dtype=float32)
    """
    return _to_size("resize", x, size, out)


def relu(x: Array, *, out: Array | None = None) -> Array:
    """max(x, 0) of an array of any shape. ``out`` may be ``x``.

    Example:
        >>> relu(np.float32([-1, 7]))
        array([0., 7.], dtype=float32)
    """
    return _activate(x, "relu", out)


def relu6(x: Array, *, out: Array | None = None) -> Array:
    """x within 0 and 6, of an array of any shape. ``out`` may be ``x``.

    Example:
        >>> relu6(np.float32([-1, 2, 7]))
        array([0., 2., 6.], dtype=float32)
    """
    return _activate(x, "relu6", out)


def hard_sigmoid(x: Array, *, out: Array | None = None) -> Array:
    """relu6(x + 3) / 6 of an array of any shape. ``out`` may be ``x``.

    Example:
        >>> hard_sigmoid(np.float32([-4, 0, 3]))
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return _activate(x, "hard_sigmoid", out)


def silu(x: Array, *, out: Array | None = None) -> Array:
    """x / (1 + e^-x) of an array of any shape. ``out`` may be ``x``.

    Example:
        >>> silu(np.float32([-1, 0, 30])).round(3)
        array([-0.269,  0.   , 30.   ], dtype=float32)
    """
    return _activate(x, "silu", out)


def mask_product(kernels: Array, mask_features: Array) -> Array:
    """Mask logits: the dot product of each kernel with each pixel's feature (paper, M = K X_mask).

    Args:
        kernels: (n, D), n >= 0.
        mask_features: Map (D, h, w).

    Returns:
        (n, h, w).

    Example:
        >>> mask_product(np.float32([[1, 10]]), np.float32([[[1, 2]], [[3, 4]]]))
        array([[[31., 42.]]], dtype=float32)
    """
    depth = float_array(mask_features, "mask_features", 3).shape[0]
    kernels = float_array(kernels, "kernels", 2, empty=True)
    if kernels.shape[1] != depth:
        raise ValueError(f"kernels: expected shape (n, {depth}), got {kernels.shape}")
    return mask_logits(to_pixels(mask_features), kernels)


def run_lengths(logits: Array, size: Size, *, probability: float = 0.45) -> list[NDArray[np.uint32]]:
    """Run lengths of masks at a frame's size, straight from their logits.

    A pixel belongs to the mask where the bilinearly resized logit exceeds ``log(p / (1 - p))``. No map of the
    frame's size is made.

    Args:
        logits: (n, h, w), n >= 0, finite.
        size: (height, width) of the frame.
        probability: Threshold, between 0 and 1.

    Returns:
        For each mask uint32 lengths of its runs down the columns, the first one of background (COCO's
        uncompressed ``counts``).

    Example:
        >>> run_lengths(np.float32([[[-9, 9]]]), (2, 4))
        [array([4, 4], dtype=uint32)]
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability: expected a value between 0 and 1, got {probability!r}")
    height, width = size_argument(size)
    threshold = float(np.log(probability / (1 - probability)))
    found: list[NDArray[np.uint32]] = _native.rle_from_logits(logits, height, width, threshold)
    return found


def _to_size(op: str, x: Array, size: Size, out: Array | None) -> Array:
    height, width = size_argument(size)
    return over_batch(x, lambda image: run_node(op, [image], (height, width, image.shape[2])), out)


def _activate(x: Array, activation: Activation, out: Array | None) -> Array:
    x = float_array(x, "x", None, empty=True)
    if out is not None:
        out = output_array(out, x.shape)
    if not x.size:
        return np.empty_like(x, order="C") if out is None else out
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1] if x.ndim else 1)
    y = run_node("copy", [rows], rows.shape, activation=activation).reshape(x.shape)
    if out is None:
        return y
    np.copyto(out, y)
    return out
