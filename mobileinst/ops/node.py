"""Runs a single node of the native engine on arrays, as a plan of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from .. import _native
from .arrays import Array

#: Height, width and channels of a map; tokens have height 1.
Shape = tuple[int, int, int]


def run_token_node(inputs: Sequence[Array], shape: tuple[int, int], add: Callable[..., None]) -> Array:
    """As :func:`run_node` for an output of tokens (N, C)."""
    return run_node(inputs, (1, *shape), add).reshape(shape)


def run_node(inputs: Sequence[Array], shape: Shape, add: Callable[..., None]) -> Array:
    """The output (H, W, C) of a node.

    Args:
        inputs: Maps (H, W, C) or tokens (N, C).
        shape: Of the output.
        add: Adds the node to a plan: called with the builder and the numbers of inputs and output.
    """
    builder = _native.PlanBuilder()
    numbers = [_constant(builder, x) for x in inputs]
    output = builder.tensor(*shape)
    builder.keep(output)
    add(builder, *numbers, output)
    plan = builder.build(_pool())
    plan.run()
    return plan.read_tokens(output).reshape(shape)


def _constant(builder: _native.PlanBuilder, x: Array) -> int:
    number = builder.constant(np.ascontiguousarray(x).reshape(-1, x.shape[-1]))
    return number if x.ndim == 2 else builder.reshape(number, *x.shape[:2])


@cache
def _pool() -> _native.ThreadPool:
    return _native.ThreadPool(1)


def mask_logits(features: Array, kernels: Array) -> Array:
    """Products (n, H, W) of kernels (n, D) with mask features (H, W, D)."""
    builder = _native.PlanBuilder()
    number = _constant(builder, features)
    return builder.build(_pool()).mask_logits(number, kernels)
