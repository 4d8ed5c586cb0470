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


@pytest.mark.parametrize("tier", _native.supported_tiers())
@pytest.mark.parametrize("gap", [0, 3])
def test_conversions_of_halves(tier: str, gap: int) -> None:
    """Products and sums are rounded once, to halves, before they become integers."""
    x = (40 * random(5, 7, 19)).astype(np.float16)
    x.reshape(-1)[:4] = (6e4, -6e4, 0.25 * 5, 0.75 * 5)
    for scale, zero in ((1 / np.float64(np.float16(1 / 0.3)), -11), (2.5, 0), (1 / 8192, 127)):
        builder = _native.PlanBuilder(tier)
        values = np.zeros((35, 19 + gap), np.float32)
        values[:, :19] = x.reshape(-1, 19)
        source = builder.reshape(builder.constant(values, "float16"), 5, 7)
        whole, again = (
            builder.tensor(5, 7, 19 + gap, "int8", (scale, zero)),
            builder.tensor(5, 7, 19, "float16"),
        )
        for name, a, b in (("first", source, whole), ("second", whole, again)):
            builder.keep(b)
            builder.add("convert", name, [builder.slice(a, 0, 19)], builder.slice(b, 0, 19))
        plan = _native.Plan(builder, _native.ThreadPool(1))
        plan.run()
        factor = np.float64(np.float16(1 / np.float32(scale)))
        with np.errstate(over="ignore"):
            exact = (x.astype(np.float64) * factor + zero).astype(np.float16)
        integers = np.clip(np.rint(exact.astype(np.float64)), -128, 127)
        found = plan.read(whole)[:19].transpose(1, 2, 0)
        np.testing.assert_array_equal(found, ((integers - zero) * np.float32(scale)).astype(np.float32))
        halves = ((integers - zero) * np.float64(np.float16(scale))).astype(np.float16)
        np.testing.assert_array_equal(plan.read(again).transpose(1, 2, 0), halves.astype(np.float32))


@pytest.mark.parametrize("tier", _native.supported_tiers())
def test_every_half_has_its_float(tier: str) -> None:
    """The subnormal ones, too, though threads may take denormal floats for 0."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 32)
    builder = _native.PlanBuilder(tier)
    source = builder.constant(halves.astype(np.float32), "float16")
    floats, again = builder.tensor(1, len(halves), 32), builder.tensor(1, len(halves), 32, "float16")
    for name, a, b in (("widened", source, floats), ("narrowed", floats, again)):
        builder.keep(b)
        builder.add("convert", name, [a], b)
    plan = _native.Plan(builder, _native.ThreadPool(2))
    plan.run()
    for found in (floats, again):
        np.testing.assert_array_equal(plan.read_tokens(found), halves.astype(np.float32))
