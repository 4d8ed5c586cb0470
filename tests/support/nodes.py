"""Single nodes of native plans: in any type, with gaps between pixels, by several threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mobileinst import _native
from tests.support.definitions import Array

#: What lies in the gaps of an output.
_POISON = np.float32(-12345.5)


def run_node(
    op: str,
    inputs: Sequence[Array],
    shape: tuple[int, ...],
    *,
    tier: str,
    dtype: str = "float32",
    quantisations: Sequence[tuple[float, int] | None] = (),
    gap: int = 0,
    threads: int = 1,
    activation: str | None = None,
    **attributes: Any,
) -> Array:
    """The output of an operation (src/cpp/plan/nodes) as floats.

    Args:
        op: Its name.
        inputs: Maps (H, W, C) or tokens (N, C), which are converted to the type.
        shape: Of the output.
        tier: Whose kernels compute it.
        dtype: Of inputs and output.
        quantisations: For int8, those of the inputs, then that of the output.
        gap: How many channels lie between one pixel and the next: NaN behind those of inputs, and behind
            those of the output what has to be there afterwards.
        threads: Among which large maps are split.
        activation: What follows.
        attributes: As the operation takes them.
    """
    builder = _native.PlanBuilder(tier)
    *of_inputs, of_output = quantisations or [None] * (len(inputs) + 1)

    def given(x: Array, quantisation: tuple[float, int] | None) -> int:
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, gap)], constant_values=np.nan)
        number = builder.constant(padded.reshape(-1, padded.shape[-1]), dtype, quantisation)
        number = builder.reshape(number, *(x.shape[:2] if x.ndim == 3 else (1, len(x))))
        return builder.slice(number, 0, x.shape[-1])

    numbers = [given(x, q) for x, q in zip(inputs, of_inputs, strict=True)]
    height, width, channels = (1, *shape) if len(shape) == 2 else shape
    whole = builder.tensor(height, width, channels + gap, dtype, of_output)
    builder.keep(whole)
    if gap:
        behind = builder.constant(np.full((height * width, gap), _POISON))
        fill = "copy" if dtype == "float32" else "convert"
        behind = builder.reshape(behind, height, width)
        builder.add(fill, "gap", [behind], builder.slice(whole, channels, gap))
    builder.next_section()
    builder.add(op, op, numbers, builder.slice(whole, 0, channels), activation, **attributes)
    plan = _native.Plan(builder, _native.ThreadPool(threads))
    plan.run(0)
    untouched = plan.read_tokens(whole)[:, channels:]
    plan.run(1)
    found = plan.read_tokens(whole)
    assert np.array_equal(found[:, channels:], untouched), f"{op} of {tier} wrote beyond a pixel's channels"
    return found[:, :channels].reshape(shape)
