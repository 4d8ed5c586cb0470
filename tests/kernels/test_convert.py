"""Conversions between the types of tensors, on every tier."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native
from tests.kernels.test_int8 import quantised, random


@pytest.mark.parametrize("tier", _native.supported_tiers())
def test_conversions(tier: str) -> None:
    x = 40 * random(5, 7, 19)
    x.reshape(-1)[:4] = (1e30, -1e30, 0.25 * 5, 0.75 * 5)  # ties of a scale of 2.5: to even
    for target in ((0.1, -11), (2.5, 0)):
        builder = _native.PlanBuilder(tier)
        source = builder.reshape(builder.constant(x.reshape(-1, 19)), 5, 7)
        whole, again = builder.tensor(5, 7, 19, "int8", target), builder.tensor(5, 7, 19, "int8", (0.37, 3))
        for name, a, b in (("first", source, whole), ("second", whole, again)):
            builder.keep(b)
            builder.add("convert", name, [a], b)
        plan = _native.Plan(builder, _native.ThreadPool(1))
        plan.run()
        first = quantised(x, target)
        np.testing.assert_array_equal(plan.read(whole), first.transpose(2, 0, 1))
        np.testing.assert_array_equal(plan.read(again), quantised(first, (0.37, 3)).transpose(2, 0, 1))
