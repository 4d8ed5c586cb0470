"""Attention of :mod:`mobileinst.ops`: the usual one, and SeaFormer's along squeezed axes."""

from __future__ import annotations

from typing import Any

from .. import _native
from ..network.position import interpolate_positions
from .arrays import Array, attention_scale, float_array, to_pixels, to_planes
from .node import run_node


def attention(query: Array, key: Array, value: Array, heads: int, scale: float | None = None) -> Array:
    """Multi-head attention ``softmax(scale * q k^T) v`` per head, channels laid out [head][dim].

    Args:
        query: (N, heads * d).
        key: (M, heads * d).
        value: (M, heads * e).
        heads: Divides the channels.
        scale: None means ``d ** -0.5``. TopFormer's backbone uses 1.

    Returns:
        (N, heads * e).

    Example:
        >>> import numpy as np
        >>> q, k = np.float32([[50, 0]]), np.float32([[1, 0], [0, 1]])
        >>> attention(q, k, np.float32([[1, 2, 3], [4, 5, 6]]), heads=1).round(3)
        array([[1., 2., 3.]], dtype=float32)
    """
    count, channels = float_array(query, "query", 2).shape
    scale = attention_scale(scale, channels, heads)
    if float_array(key, "key", 2).shape[1] != channels:
        raise ValueError(f"key: expected shape (M, {channels}), got {key.shape}")
    if float_array(value, "value", 2).shape[0] != len(key) or value.shape[1] % heads:
        raise ValueError(f"value: expected shape ({len(key)}, {heads} * e), got {value.shape}")
    shape = (count, value.shape[1])
    return run_node("attention", [query, key, value], shape, heads=heads, scale=scale)


def axial_attention(
    query: Array,
    key: Array,
    value: Array,
    heads: int,
    *,
    row_positions: tuple[Array, Array],
    column_positions: tuple[Array, Array],
    row_layer: tuple[Array, Array],
    column_layer: tuple[Array, Array],
    scale: float | None = None,
) -> Array:
    """SeaFormer's squeezed axial attention: ``relu6(value + rows + columns)``

    Steps 3 to 5 of docs/spec.md: SeaFormer.

    Rows: query, key and value are averaged over the width, positions are added to the first two, they attend,
    then follow ReLU6 and a 1x1 convolution; the result is added to every pixel of its row. Columns likewise.

    Args:
        query, key: Maps (heads * d, H, W).
        value: Map (heads * e, H, W).
        heads: Divides the channels.
        row_positions, column_positions: Learned positions of queries and keys, each (heads * d, P), of any
            length P; interpolated to H and W.
        row_layer, column_layer: Weight (heads * e, heads * e) and bias (heads * e,) of the convolution with
            its batch norm folded in (:func:`fold_batch_norm`).
        scale: None means ``d ** -0.5``.

    Returns:
        (heads * e, H, W).

    Example:
        >>> import numpy as np
        >>> x = np.float32([[[1, 3]]])
        >>> none = (np.zeros((1, 16), np.float32),) * 2
        >>> same = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
        >>> axial_attention(0 * x, 0 * x, x, 1, row_positions=none, column_positions=none,
        ...                 row_layer=same, column_layer=same)
        array([[[5., 6.]]], dtype=float32)
    """
    for name, x in (("query", query), ("key", key), ("value", value)):
        float_array(x, name, 3)
    channels, height, width = query.shape
    scale = attention_scale(scale, channels, heads)
    attributes: dict[str, Any] = {"heads": heads, "scale": scale}
    for name, length, positions, layer in (
        ("row", height, row_positions, row_layer),
        ("column", width, column_positions, column_layer),
    ):
        tables = [float_array(table, f"{name}_positions", 2) for table in positions]
        if len(tables) != 2 or any(table.shape[0] != channels for table in tables):
            raise ValueError(f"{name}_positions: expected two arrays ({channels}, P)")
        q, k = (interpolate_positions(table, length) for table in tables)
        weight, bias = float_array(layer[0], f"{name}_layer", 2), layer[1]
        encode = _native.ConvWeights(weight[:, :, None, None], bias)
        attributes |= {f"{name}_query": q, f"{name}_key": k, f"{name}_encode": encode}
    maps = [to_pixels(x) for x in (query, key, value)]
    return to_planes(run_node("axial_attention", maps, (height, width, len(value)), **attributes))
