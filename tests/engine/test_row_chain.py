"""Nodes that follow one another row by row give the same bits as one whole map after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native

Array = NDArray[np.float32]
TIERS = [tier for tier in _native.supported_tiers() if tier != "ref"]  # `ref` computes whole maps


class Layers:
    """Adds layers with random weights to a builder, each after the one before."""

    def __init__(self, tier: str, height: int, width: int, seed: int) -> None:
        self.builder = _native.PlanBuilder(tier)
        self.tier = tier
        self.rng = np.random.default_rng(seed)
        self.shape = (height, width, 3)
        self.input = self.last = self.builder.tensor(*self.shape)
        self.builder.keep(self.input, True)
        self.made: list[int] = []

    def weights(
        self, out: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> _native.ConvWeights:
        shape = (out, channels // groups, kernel, kernel)
        values = self.rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        bias = self.rng.standard_normal(out, dtype=np.float32)
        return _native.ConvWeights(values, bias, stride=stride, groups=groups, tier=self.tier)

    def _output(self, channels: int, stride: int) -> int:
        height, width, _ = self.shape
        self.shape = ((height - 1) // stride + 1, (width - 1) // stride + 1, channels)
        self.last = self.builder.tensor(*self.shape)
        self.made.append(self.last)
        return self.last

    def stem(self, out: int, kernel: int = 3, residual: int | None = None) -> None:
        x, weights = self.last, self.weights(out, self.shape[2], kernel, stride=2)
        self._add("conv", f"stem{len(self.made)}", x, residual, self._output(out, 2), weights=weights)

    def block(self, out: int, expansion: int, kernel: int, stride: int, residual: int | None = None) -> None:
        x, channels = self.last, self.shape[2]
        hidden = channels * max(expansion, 1)
        expand = self.weights(hidden, channels, 1) if expansion else None
        depthwise = self.weights(hidden, hidden, kernel, stride, groups=hidden)
        project = self.weights(out, hidden, 1)
        name = f"block{len(self.made)}"
        layers = {"expand": expand, "depthwise": depthwise, "project": project}
        self._add("inverted_residual", name, x, residual, self._output(out, stride), **layers)

    def _add(self, op: str, name: str, x: int, residual: int | None, y: int, **weights: Any) -> None:
        inputs = [x] if residual is None else [x, residual]
        self.builder.add(op, name, inputs, y, "relu6", **weights)

    def build(self, threads: int, keep: list[int]) -> tuple[_native.Plan, list[str]]:
        for tensor in (*keep, self.last):
            self.builder.keep(tensor)
        plan = _native.Plan(self.builder, _native.ThreadPool(threads))
        return plan, [node["op"] for node in plan.profile()]


def backbone(layers: Layers) -> None:
    """The beginning of TopFormer: what chains are made for."""
    layers.stem(16)
    layers.block(16, 0, 3, 1, residual=layers.last)
    layers.block(32, 4, 3, 2)
    layers.block(32, 3, 3, 1, residual=layers.last)


def large_kernels(layers: Layers) -> None:
    layers.stem(17, kernel=5)
    layers.block(24, 2, 5, 1)
    layers.block(33, 0, 5, 1)
    layers.block(9, 3, 5, 2)


def run(plan: _native.Plan, layers: Layers, x: Array) -> Array:
    plan.write(layers.input, x)
    plan.run()
    return plan.read(layers.last)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("make", [backbone, large_kernels])
@pytest.mark.parametrize(
    ("height", "width", "threads"),
    [(391, 201, 1), (391, 201, 3), (390, 203, 2), (515, 150, 4), (900, 96, 7)],
)
def test_chain_gives_the_bits_of_whole_maps(
    tier: str, make: Callable[[Layers], None], height: int, width: int, threads: int
) -> None:
    x = np.random.default_rng(1).standard_normal((3, height, width), dtype=np.float32)
    whole, chained = (Layers(tier, height, width, seed=7) for _ in range(2))
    make(whole)
    make(chained)
    plan, ops = whole.build(1, keep=whole.made)
    assert ops == ["conv_direct"] + 3 * ["inverted_residual"]
    want = run(plan, whole, x)
    plan, ops = chained.build(threads, keep=[])
    assert ops == ["row_chain"]
    assert np.array_equal(run(plan, chained, x), want)
    assert np.array_equal(run(plan, chained, x), want)  # nothing is left in the rings


@pytest.mark.parametrize("tier", TIERS)
def test_maps_within_a_chain_take_no_memory_of_the_arena(tier: str) -> None:
    layers = Layers(tier, 391, 201, seed=7)
    backbone(layers)
    plan, _ = layers.build(1, keep=[])
    ends = 391 * 201 * 3 + 98 * 51 * 32  # input and output
    assert 4 * ends <= plan.arena_bytes < 4 * (ends + 200)


@pytest.mark.parametrize("tier", TIERS)
def test_chain_ends_where_a_map_is_needed_otherwise(tier: str) -> None:
    layers = Layers(tier, 391, 201, seed=7)
    backbone(layers)
    _, ops = layers.build(1, keep=[layers.made[1]])
    assert ops == ["row_chain", "row_chain"]

    layers = Layers(tier, 391, 201, seed=7)
    layers.stem(16)
    first = layers.last
    layers.block(16, 0, 3, 1)
    layers.block(16, 2, 3, 1, residual=first)  # read by two
    _, ops = layers.build(1, keep=[])
    assert ops == ["conv_direct", "inverted_residual", "inverted_residual"]


@pytest.mark.parametrize("tier", TIERS)
def test_chain_begins_after_a_convolution_that_adds_a_map(tier: str) -> None:
    x, added = (
        np.random.default_rng(1).standard_normal((c, h, w), dtype=np.float32)
        for c, h, w in ((3, 391, 201), (16, 196, 101))
    )
    results = []
    for keep in (True, False):
        layers = Layers(tier, 391, 201, seed=7)
        residual = layers.builder.tensor(196, 101, 16)
        layers.builder.keep(residual, True)
        layers.stem(16, residual=residual)
        layers.block(16, 0, 3, 1)
        layers.block(32, 4, 3, 2)
        plan, ops = layers.build(1, keep=layers.made if keep else [])
        assert ops == ["conv_direct", *(2 * ["inverted_residual"] if keep else ["row_chain"])]
        plan.write(residual, added)
        results.append(run(plan, layers, x))
    assert np.array_equal(*results)


@pytest.mark.parametrize("tier", TIERS)
def test_no_chain_across_sections(tier: str) -> None:
    x = np.random.default_rng(1).standard_normal((3, 391, 201), dtype=np.float32)
    layers = Layers(tier, 391, 201, seed=7)
    layers.stem(16)
    layers.block(16, 0, 3, 1)
    layers.builder.next_section()
    layers.block(32, 4, 3, 2)
    layers.block(32, 3, 3, 1)
    plan, ops = layers.build(1, keep=[])
    assert ops == ["row_chain", "row_chain"]
    plan.write(layers.input, x)
    plan.run(0)
    plan.run(1)
    whole = Layers(tier, 391, 201, seed=7)
    whole.stem(16)
    whole.block(16, 0, 3, 1)
    whole.block(32, 4, 3, 2)
    whole.block(32, 3, 3, 1)
    want = run(whole.build(1, keep=whole.made)[0], whole, x)
    assert np.array_equal(plan.read(layers.last), want)


@pytest.mark.parametrize("tier", TIERS)
def test_small_maps_and_few_rows_for_each_thread_are_not_chained(tier: str) -> None:
    layers = Layers(tier, 95, 101, seed=7)
    backbone(layers)
    assert "row_chain" not in layers.build(1, keep=[])[1]
    layers = Layers(tier, 391, 201, seed=7)
    backbone(layers)
    assert layers.build(4, keep=[])[1] == ["row_chain", "inverted_residual", "inverted_residual"]
