"""Runs a single node of the native engine on arrays, as a plan of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .. import _native
from ..network.ops import Activation
from .arrays import Array


def run_node(
    op: str,
    inputs: Sequence[Array],
    shape: tuple[int, ...],
    *,
    activation: Activation | None = None,
    tier: str | None = None,
    **attributes: Any,
) -> Array:
    """The output of a node of native plans (``src/cpp/plan/nodes``).

    Args:
        op: Its operation.
        inputs: Maps (H, W, C) or tokens (N, C).
        shape: Of the output, (H, W, C) or (N, C).
        activation: What follows.
        tier: Whose native kernels run; None means the tier in use.
        attributes: As the operation takes them.
    """
    builder = _native.PlanBuilder(tier)
    numbers = [_constant(builder, x) for x in inputs]
    height, width, channels = (1, *shape) if len(shape) == 2 else shape
    output = builder.tensor(height, width, channels)
    builder.keep(output)
    builder.add(op, op, numbers, output, activation, **attributes)
    plan = _native.Plan(builder, _pool())
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
    return _native.Plan(builder, _pool()).mask_logits(number, kernels)
