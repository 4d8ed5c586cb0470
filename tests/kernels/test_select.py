"""Which places become queries: the native node does what NumPy states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobileinst import _native
from mobileinst.network import selection
from tests.support.places import FEATURES, GRIDS, GROUPS, make_places, numpy_rows

#: Attributes of the node.
CHOICE: dict[str, Any] = {
    "groups": GROUPS,
    "candidates": selection.CANDIDATES,
    "overlap": selection.OVERLAP,
    "margin": selection.MARGIN,
    "window_scale": selection.WINDOW_SCALE * selection.WINDOW_LOGIT,
    "least_half": selection.LEAST_HALF,
}


@pytest.mark.parametrize("count", [1, 20, 200])
def test_the_native_node_selects_what_numpy_does(count: int) -> None:
    levels = make_places(count)
    builder = _native.PlanBuilder()
    inputs = []
    for index, (height, width) in enumerate(GRIDS):
        names = ("kinds", "objectness", "boxes", "features")
        tensors = [builder.tensor(height, width, levels[name][index].shape[1]) for name in names]
        inputs += [(tensor, levels[name][index]) for tensor, name in zip(tensors, names, strict=True)]
    expected = numpy_rows(levels, count)
    y = builder.tensor(1, count, expected.shape[1])
    for tensor, _ in inputs:
        builder.keep(tensor, True)
    builder.keep(y)
    builder.add("select", "s", [tensor for tensor, _ in inputs], y, **CHOICE)
    plan = _native.Plan(builder, _native.ThreadPool(1))
    for tensor, values in inputs:
        height, width = next(g for g in GRIDS if g[0] * g[1] == len(values))
        plan.write(tensor, np.ascontiguousarray(values.reshape(height, width, -1).transpose(2, 0, 1)))
    plan.run(0)
    np.testing.assert_allclose(plan.read_tokens(y), expected, rtol=1e-4, atol=1e-5)


def test_the_builder_refuses_places_that_do_not_fit() -> None:
    builder = _native.PlanBuilder()
    level = [builder.tensor(2, 3, channels) for channels in (6, 1, 4, FEATURES)]
    y = builder.tensor(1, 5, selection.token_channels(1, FEATURES, 3))
    with pytest.raises(ValueError, match="s: expected kinds"):
        builder.add("select", "s", level, y, **{**CHOICE, "groups": (1, 3, 3)})
    with pytest.raises(ValueError, match="s: expected an output"):
        builder.add("select", "s", level, builder.tensor(1, 5, 9), **CHOICE)
    with pytest.raises(ValueError, match="s: expected attribute overlap"):
        builder.add("select", "s", level, y, **{**CHOICE, "overlap": None})
    with pytest.raises(ValueError, match="s: expected no attribute color of select"):
        builder.add("select", "s", level, y, **CHOICE, color=3)
    with pytest.raises(ValueError, match="s: expected an operation that plans have, got 'choose'"):
        builder.add("choose", "s", level, y)
