"""Graphs of random operations, compiled, against a plain NumPy evaluation of what was recorded.

They reach what the network's own graph does not: values that are read late, written over, cut, joined twice,
and kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine import Graph, NativeOps, Node, Parameters, Program, compile_program
from mobileinst.network.ops import ConvSpec

Array = NDArray[np.float64]
SIZES = ((5, 7), (3, 4), (1, 1))


def activate(x: Array, activation: str | None) -> Array:
    if activation is None:
        return x
    if activation == "relu":
        return np.maximum(x, 0)
    return np.clip(x, 0, 6) if activation == "relu6" else np.clip(x + 3, 0, 6) / 6


def convolve(x: Array, node: Node, parameters: Parameters) -> Array:
    layer = node.attributes["weights"]
    weight, bias = parameters.folded(layer)
    kernel, groups = weight.shape[2], layer.groups
    padded = np.pad(x, ((kernel // 2,) * 2, (kernel // 2,) * 2, (0, 0)))
    out = np.zeros(node.shape)
    for i in range(node.height):
        for j in range(node.width):
            top, left = i * layer.stride, j * layer.stride
            window = padded[top : top + kernel, left : left + kernel]
            for g in range(groups):
                part = slice(g * window.shape[2] // groups, (g + 1) * window.shape[2] // groups)
                rows = slice(g * len(weight) // groups, (g + 1) * len(weight) // groups)
                out[i, j, rows] = np.einsum(
                    "ockl,klc->o", weight[rows].astype(np.float64), window[:, :, part]
                )
    return out if bias is None else out + bias


def interpolate(x: Array, axis: int, length: int) -> Array:
    size = x.shape[axis]
    source = np.clip((np.arange(length) + 0.5) * size / length - 0.5, 0, size - 1)
    low = source.astype(int)
    weight = (source - low).reshape([-1 if i == axis else 1 for i in range(3)])
    return x.take(low, axis) * (1 - weight) + x.take(np.minimum(low + 1, size - 1), axis) * weight


def pool(x: Array, node: Node) -> Array:
    out = np.empty(node.shape)
    for i in range(node.height):
        rows = slice(i * len(x) // node.height, -(-(i + 1) * len(x) // node.height))
        for j in range(node.width):
            columns = slice(j * x.shape[1] // node.width, -(-(j + 1) * x.shape[1] // node.width))
            window = x[rows, columns].reshape(-1, x.shape[2])
            out[i, j] = window.mean(0) if node.kind == "average_pool" else window.max(0)
    return out


def attend(q: Array, k: Array, v: Array, node: Node) -> Array:
    heads = node.attributes["heads"]
    parts = []
    for a, b, c in zip(*(np.split(x[0], heads, 1) for x in (q, k, v)), strict=True):
        scores = node.attributes["scale"] * a @ b.T
        weights = np.exp(scores - scores.max(1, keepdims=True))
        parts.append(weights / weights.sum(1, keepdims=True) @ c)
    return np.concatenate(parts, 1)[None]


def evaluate(graph: Graph, parameters: Parameters, image: Array) -> dict[Node, Array]:
    """Every node's value, by definition."""
    values: dict[Node, Array] = {}
    for node in graph.nodes:
        x = [values[source] for source in node.inputs]
        if node.kind == "input":
            y = image
        elif node.kind == "constant":
            y = node.attributes["values"][None].astype(np.float64)
        elif node.kind == "conv":
            y = convolve(x[0], node, parameters)
        elif node.kind == "layer_norm":
            weight, bias = (parameters.array(f"{node.name}.{leaf}") for leaf in ("weight", "bias"))
            centred = x[0] - x[0].mean(-1, keepdims=True)
            y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias
        elif node.kind == "attention":
            y = attend(x[0], x[1], x[2], node)
        elif node.kind in ("copy", "add", "multiply"):
            y = {"copy": lambda a: a, "add": np.add, "multiply": np.multiply}[node.kind](*x)
        elif node.kind == "resize":
            y = interpolate(interpolate(x[0], 0, node.height), 1, node.width)
        elif node.kind in ("average_pool", "max_pool"):
            y = pool(x[0], node)
        elif node.kind == "concat":
            y = np.concatenate(x, 2)
        elif node.kind == "slice":
            y = x[0][:, :, node.attributes["offset"] :][:, :, : node.channels]
        else:
            y = x[0].reshape(node.shape)
        values[node] = activate(y, node.activation)
    return values


class RandomGraph:
    """Grows a graph operation by operation; values stay near unit size."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, NDArray[np.float32]] = {}
        self.parameters = Parameters(self.tensors, _native.tier())
        self.graph = Graph()
        self.ops = NativeOps(self.graph, self.parameters)
        self.maps = [self.ops.input("image", 5, 7, 4)]
        self.grow: list[Callable[[str], Node | list[Node]]] = [
            self.conv,
            self.conv,
            self.inverted_residual,
            self.add,
            self.add,
            self.multiply_add,
            self.activation,
            self.resize,
            self.resize_add,
            self.pool,
            self.concat,
            self.split,
            self.attention,
        ]

    def build(self, steps: int) -> dict[str, Node]:
        """Outputs by name: the last map, and a few others."""
        for step in range(steps):
            if step == steps // 2:
                self.graph.section = 1
            made = self.choose(self.grow)(f"step{step}")
            self.maps += made if isinstance(made, list) else [made]
        picked = {id(node): node for node in (self.maps[-1], *(self.choose(self.maps) for _ in range(4)))}
        return {f"out{i}": node for i, node in enumerate(picked.values()) if node.kind != "input"}

    def choose(self, items: list) -> object:  # type: ignore[type-arg]
        return items[self.random.integers(len(items))]

    def parameter(self, name: str, *shape: int) -> None:
        scale = np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 1
        self.tensors[name] = (self.random.standard_normal(shape) / scale).astype(np.float32)

    def like(self, x: Node) -> Node:
        return self.choose([y for y in self.maps if y.shape == x.shape])

    def conv(self, name: str) -> Node:
        x = self.choose(self.maps)
        kernel, stride = self.choose([(1, 1), (3, 1), (3, 2), (5, 1), (1, 2)])
        groups = self.choose([1, x.channels])
        out = x.channels if groups > 1 else int(self.choose([4, 6, 9]))
        self.parameter(f"{name}.weight", out, x.channels // groups, kernel, kernel)
        self.parameter(f"{name}.bias", out)
        activation = self.choose([None, "relu", "hard_sigmoid"])
        return self.ops.conv(x, name, ConvSpec(out, kernel, stride, groups, bias=True, activation=activation))

    def inverted_residual(self, name: str) -> Node:
        x = self.choose(self.maps)
        shapes = [(2 * x.channels, x.channels, 1), (2 * x.channels, 1, 3), (x.channels, 2 * x.channels, 1)]
        for part, (out, inputs, kernel) in zip("abc", shapes, strict=True):
            self.parameter(f"{name}.{part}.weight", out, inputs, kernel, kernel)
        hidden = 2 * x.channels
        y = self.ops.conv(x, f"{name}.a", ConvSpec(hidden, activation="relu6"))
        y = self.ops.conv(y, f"{name}.b", ConvSpec(hidden, 3, groups=hidden, activation="relu6"))
        return self.ops.add(self.ops.conv(y, f"{name}.c", ConvSpec(x.channels)), x, f"{name}.add")

    def add(self, name: str) -> Node:
        x = self.choose(self.maps)
        return self.ops.add(x, self.like(x), name)

    def multiply_add(self, name: str) -> Node:
        x = self.choose(self.maps)
        gate = self.ops.activate(self.like(x), "hard_sigmoid", f"{name}.gate")
        return self.ops.add(self.ops.mul(x, gate, f"{name}.mul"), self.like(x), name)

    def activation(self, name: str) -> Node:
        return self.ops.activate(self.choose(self.maps), self.choose(["relu", "relu6", "hard_sigmoid"]), name)

    def resize(self, name: str) -> Node:
        return self.ops.resize(self.choose(self.maps), self.choose(list(SIZES)), name)

    def resize_add(self, name: str) -> Node:
        x = self.choose(self.maps)
        others = [y for y in self.maps if y.channels == x.channels]
        size = self.ops.size(x)
        y = self.ops.resize(self.choose(others), size, f"{name}.resize")
        if self.random.integers(2):
            gate = self.ops.resize(self.choose(others), size, f"{name}.gate")
            x = self.ops.mul(x, self.ops.activate(gate, "hard_sigmoid", f"{name}.act"), f"{name}.mul")
        return self.ops.add(x, y, name)

    def pool(self, name: str) -> Node:
        pool = self.ops.average_pool if self.random.integers(2) else self.ops.max_pool
        return pool(self.choose(self.maps), self.choose(list(SIZES)), name)

    def concat(self, name: str) -> Node:
        x = self.choose(self.maps)
        others = [y for y in self.maps if self.ops.size(y) == self.ops.size(x) and y.channels < 20]
        return self.ops.concat([x, *(self.choose(others or [x]) for _ in range(2))], name)

    def split(self, name: str) -> list[Node]:
        x = self.choose(self.maps)
        return self.ops.split(x, [x.channels // 2, x.channels - x.channels // 2])

    def attention(self, name: str) -> Node:
        x = self.choose(self.maps)
        tokens = self.ops.tokens(x)
        for leaf in ("weight", "bias"):
            self.parameter(f"{name}.norm.{leaf}", x.channels)
        self.parameter(f"{name}.position", x.height * x.width, x.channels)
        query = self.ops.layer_norm(tokens, f"{name}.norm")
        key = self.ops.parameter(f"{name}.position", (x.height * x.width, x.channels))
        if self.random.integers(2):
            key = self.ops.layer_norm(key, f"{name}.norm")  # depends on parameters only
        heads = int(self.choose([h for h in (1, 2, 3) if x.channels % h == 0]))
        y = self.ops.attention(query, self.ops.add(key, tokens, f"{name}.add"), tokens, heads, 0.5, name)
        return self.ops.activate(self.ops.as_map(y, self.ops.size(x)), "relu6", f"{name}.relu6")


def run(program: Program, image: Array) -> dict[str, Array]:
    program.plan.write(program.tensors["image"], image.transpose(2, 0, 1).astype(np.float32))
    program.plan.run(0)
    program.plan.run(1)
    return {name: program.read(name) for name in program.tensors}


@pytest.mark.parametrize("seed", range(60))
def test_random_graph(seed: int) -> None:
    made = RandomGraph(seed)
    outputs = made.build(steps=4 + seed % 17)
    image = made.random.standard_normal((5, 7, 4)).astype(np.float32).astype(np.float64)
    values = evaluate(made.graph, made.parameters, image)
    expected = {name: values[node].transpose(2, 0, 1) for name, node in outputs.items()}
    program = compile_program(made.graph, made.parameters, outputs, _native.ThreadPool(1 + seed % 3))
    got = run(program, image)
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(got[name] / scale, value / scale, atol=2e-5, err_msg=name)
    again = run(program, image)
    assert all(np.array_equal(again[name], got[name]) for name in got)


def test_postponed_nodes_run_in_a_section_of_their_own() -> None:
    graph = Graph()
    ops = NativeOps(graph, Parameters({}, _native.tier()))
    x = ops.input("x", 2, 3, 4)
    late = ops.activate(x, "relu", "late")
    soon = ops.add(x, x, "soon")
    graph.section = 1
    last = ops.mul(soon, soon, "last")
    with pytest.raises(ValueError, match="soon 2x3x4 is read by multiply last"):
        graph.postpone(soon, 2)
    graph.postpone(late, 2)
    program = compile_program(graph, ops.parameters, {"late": late, "last": last}, _native.ThreadPool(1))
    values = np.random.default_rng(0).standard_normal((4, 2, 3), dtype=np.float32)
    program.plan.write(program.tensors["x"], values)
    for section in range(3):
        program.plan.run(section)
    assert np.array_equal(program.read("late"), np.maximum(values, 0))
    np.testing.assert_allclose(program.read("last"), 4 * values**2, rtol=1e-6)


def test_weights_are_packed_once_for_all_maps_with_the_same_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "dense.weight": rng.standard_normal((4, 4, 3, 3), dtype=np.float32),
        "point.weight": rng.standard_normal((4, 4, 1, 1), dtype=np.float32),
    }
    parameters = Parameters(tensors, _native.tier())
    packed: list[tuple[int, int]] = []
    pack = _native.ConvWeights

    def count(weight: NDArray[np.float32], *rest: object) -> object:
        packed.append((weight.shape[2], int(str(rest[-2]))))
        return pack(weight, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_native, "ConvWeights", count)
    kept = []
    for size in ((10, 12), (24, 24), (40, 40), (64, 80), (20, 20)):
        graph = Graph()
        ops = NativeOps(graph, parameters)
        x = ops.input("image", *size, 4)
        y = ops.conv(ops.conv(x, "dense", ConvSpec(4, kernel_size=3)), "point", ConvSpec(4))
        kept.append(compile_program(graph, parameters, {"y": y}, _native.ThreadPool(1)))
    assert packed == [(3, 4), (1, 6), (3, 6), (3, 8)]


def test_packed_weights_are_freed_with_the_last_program_that_uses_them() -> None:
    rng = np.random.default_rng(0)
    parameters = Parameters(
        {"dense.weight": rng.standard_normal((16, 16, 3, 3), dtype=np.float32)}, _native.tier()
    )

    def program(*size: int) -> Program:
        graph = Graph()
        ops = NativeOps(graph, parameters)
        y = ops.conv(ops.input("image", *size, 16), "dense", ConvSpec(16, kernel_size=3))
        return compile_program(graph, parameters, {"y": y}, _native.ThreadPool(1))

    assert parameters.packed_bytes == 0
    small = program(10, 12)
    of_small = parameters.packed_bytes
    assert of_small >= 16 * 16 * 36 * 4  # F(4x4)
    large, same = program(64, 80), program(80, 80)
    assert parameters.packed_bytes >= of_small + 16 * 16 * 100 * 4  # F(8x8), once for both
    assert parameters.packed_bytes < of_small + 2 * 16 * 16 * 100 * 4
    del large
    assert parameters.packed_bytes > of_small
    del same
    assert parameters.packed_bytes == of_small
    values = rng.standard_normal((16, 10, 12), dtype=np.float32)
    small.plan.write(small.tensors["image"], values)
    small.plan.run(0)
    assert np.isfinite(small.read("y")).all()
    del small
    assert parameters.packed_bytes == 0
