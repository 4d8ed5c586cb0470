"""From a graph to a native plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine.backend import layer_key
from mobileinst.engine.graph import VIEWS, Graph, Node
from mobileinst.engine.parameters import Parameters
from mobileinst.engine.passes import simplify
from mobileinst.network import selection
from mobileinst.network.ops import NORM_EPS


class Program:
    """A native plan with the numbers of its named inputs and outputs.

    Attributes:
        plan: The plan; ``plan.run(section)`` runs a section.
        tensors: Tensor number of each input and output by name.
    """

    def __init__(self, plan: _native.Plan, tensors: dict[str, int]) -> None:
        self.plan = plan
        self.tensors = tensors

    def read(self, name: str) -> NDArray[np.float32]:
        """An output as float32 (C, H, W)."""
        return self.plan.read(self.tensors[name])

    def read_tokens(self, name: str) -> NDArray[np.float32]:
        """An output as float32 (N, C)."""
        return self.plan.read_tokens(self.tensors[name])


def compile_program(
    graph: Graph, parameters: Parameters, outputs: Mapping[str, Node], pool: _native.ThreadPool
) -> Program:
    """Simplify a recorded graph and plan it; all sections share one arena.

    Args:
        graph: What was recorded; it is used up.
        parameters: Where layers come from.
        outputs: Nodes by the names under which they are read. They and the inputs keep their values until the
            plan runs again.
        pool: Threads that run the plan.
    """
    final = simplify(graph, set(outputs.values()))
    named = {name: final[node] for name, node in outputs.items()}
    _fold_constants(graph, parameters, named, pool)
    named |= {node.name: node for node in graph.nodes if node.kind == "input"}
    return _Emitter(graph, parameters, named).build(pool)


def _fold_constants(
    graph: Graph, parameters: Parameters, outputs: dict[str, Node], pool: _native.ThreadPool
) -> None:
    """Compute now what depends on parameters only (the query side of the first decoder)."""
    fixed: set[Node] = set()
    for node in graph.nodes:
        if node.kind == "constant" or (node.inputs and all(source in fixed for source in node.inputs)):
            fixed.add(node)
    wanted = [
        node
        for node in graph.nodes
        if node in fixed
        and node.kind not in ("constant", *VIEWS)
        and (node in outputs.values() or any(user not in fixed or user.kind in VIEWS for user in node.users))
    ]
    if not wanted:
        return
    part = Graph()
    part.nodes = [node for node in graph.nodes if node in fixed]
    for node in part.nodes:
        node.section = 0
    named = {str(i): node for i, node in enumerate(wanted)}
    program = _Emitter(part, parameters, named).build(pool)
    program.plan.run(0)
    for key, node in named.items():
        for source in node.inputs:
            source.users.remove(node)
        node.kind, node.inputs, node.activation = "constant", [], None
        node.attributes = {"values": program.read_tokens(key)}
    graph.remove_dead(outputs.values())


class _Emitter:
    """Gives every node memory, then adds the nodes to a native builder."""

    def __init__(self, graph: Graph, parameters: Parameters, outputs: dict[str, Node]) -> None:
        self._graph = graph
        self._parameters = parameters
        self._outputs = outputs
        self._builder = _native.PlanBuilder(parameters.tier)
        self._tensors: dict[Node, int] = {}
        self._slices: dict[Node, tuple[Node, int]] = {}
        for node in graph.nodes:
            if node.kind == "concat":
                self._place_in(node)

    def build(self, pool: _native.ThreadPool) -> Program:
        tensors = {name: self._tensor(node) for name, node in self._outputs.items()}
        for name, node in self._outputs.items():
            self._builder.keep(tensors[name], node.kind == "input")
        section = 0
        for node in self._graph.nodes:
            while section < node.section:
                self._builder.next_section()
                section += 1
            self._emit(node)
        return Program(self._builder.build(pool), tensors)

    def _place_in(self, concat: Node) -> None:
        """Let the inputs of a concatenation be written where it wants them; others are copied there."""
        offset = 0
        for source in concat.inputs:
            if source.kind not in ("input", "constant", "concat", *VIEWS) and source not in self._slices:
                self._slices[source] = (concat, offset)
            offset += source.channels

    def _tensor(self, node: Node) -> int:
        """The number of a node's tensor, made at first use."""
        if node not in self._tensors:
            self._tensors[node] = self._new_tensor(node)
        return self._tensors[node]

    def _new_tensor(self, node: Node) -> int:
        if node in self._slices:
            concat, offset = self._slices[node]
            return self._builder.slice(self._tensor(concat), offset, node.channels)
        if node.kind == "constant":
            values = self._builder.constant(node.attributes["values"])
            return self._builder.reshape(values, node.height, node.width)
        if node.kind == "slice":
            return self._builder.slice(self._tensor(node.inputs[0]), node.attributes["offset"], node.channels)
        if node.kind == "reshape":
            return self._builder.reshape(self._tensor(node.inputs[0]), node.height, node.width)
        return self._builder.tensor(node.height, node.width, node.channels)

    def _emit(self, node: Node) -> None:
        if node.kind in ("input", "constant", *VIEWS):
            return
        inputs: list[int | None] = [self._tensor(source) for source in node.inputs]
        inputs += [None] * (3 - len(inputs))
        x, y, builder = self._tensor(node.inputs[0]), self._tensor(node), self._builder
        if node.kind == "conv":
            self._emit_conv(node)
        elif node.kind == "inverted_residual":
            first, *rest = node.attributes["layers"]
            expand = None if first is None else self._parameters.packed(first)
            depthwise, project = (self._parameters.packed(layer) for layer in rest)
            builder.inverted_residual(node.name, x, expand, depthwise, project, y, node.activation, inputs[1])
        elif node.kind == "elementwise":
            builder.elementwise(node.name, node.attributes["op"], x, inputs[1], inputs[2], y, node.activation)
        elif node.kind == "resize":
            builder.resize(node.name, x, inputs[1], inputs[2], y, node.activation)
        elif node.kind == "pool":
            builder.pool(node.name, node.attributes["average"], x, y, node.attributes["window"])
        elif node.kind == "select":
            self._emit_select(node)
        elif node.kind == "layer_norm":
            prefix = node.attributes["prefix"]
            weight, bias = (self._parameters.array(f"{prefix}.{leaf}") for leaf in ("weight", "bias"))
            builder.layer_norm(node.name, x, weight, bias, NORM_EPS, y)
        elif node.kind == "attention":
            q, k, v = (self._tensor(source) for source in node.inputs)
            builder.attention(
                node.name, q, k, v, node.attributes["heads"], node.attributes["scale"], y, node.activation
            )
        elif node.kind == "axial_attention":
            self._emit_axial_attention(node)
        else:
            self._emit_copies(node)

    def _emit_conv(self, node: Node) -> None:
        layer, source = node.attributes["layer"], node.inputs[0]
        x, y = self._tensor(source), self._tensor(node)
        if self._takes_xnnpack(node):
            weight, bias = self._parameters.folded(layer)
            self._builder.xnnpack_conv(
                node.name, x, weight, bias, y, layer.stride, layer.groups, node.activation
            )
        else:
            residual = self._tensor(node.inputs[1]) if len(node.inputs) > 1 else None
            # Other kinds know no tiles, and one packing serves maps of all sizes.
            winograd = node.attributes["kernel"] == 3 and layer.stride == layer.groups == 1
            tile = _native.winograd_tile(node.height, node.width) if winograd else 6
            weights = self._parameters.packed(layer, tile)
            self._builder.conv(node.name, x, weights, y, node.activation, residual)

    def _takes_xnnpack(self, conv: Node) -> bool:
        """XNNPACK's operators add no residual and know neither hard sigmoid nor SiLU."""
        if len(conv.inputs) > 1 or conv.activation in ("hard_sigmoid", "silu"):
            return False
        layer, kernel = conv.attributes["layer"], conv.attributes["kernel"]
        x = conv.inputs[0]
        key = layer_key(*x.shape, conv.channels, kernel=kernel, stride=layer.stride, groups=layer.groups)
        return self._parameters.backend.takes_xnnpack(key)

    def _emit_select(self, node: Node) -> None:
        ids = [self._tensor(source) for source in node.inputs]
        levels = [(ids[i], ids[i + 1], ids[i + 2], ids[i + 3]) for i in range(0, len(ids), 4)]
        self._builder.select(
            node.name,
            levels,
            node.attributes["kinds"],
            selection.CANDIDATES,
            selection.OVERLAP,
            selection.MARGIN,
            selection.WINDOW_SCALE * selection.WINDOW_LOGIT,
            selection.LEAST_HALF,
            self._tensor(node),
        )

    def _emit_axial_attention(self, node: Node) -> None:
        q, k, v = (self._tensor(source) for source in node.inputs)
        row_q, row_k, column_q, column_k = node.attributes["positions"]
        row, column = (self._parameters.packed(layer) for layer in node.attributes["encode"])
        heads, scale = node.attributes["heads"], node.attributes["scale"]
        self._builder.axial_attention(
            node.name,
            q,
            k,
            v,
            heads,
            scale,
            row_q,
            row_k,
            row,
            column_q,
            column_k,
            column,
            self._tensor(node),
        )

    def _emit_copies(self, concat: Node) -> None:
        offset, placed = 0, set()
        for source in concat.inputs:
            if self._slices.get(source) != (concat, offset) or source in placed:
                target = self._builder.slice(self._tensor(concat), offset, source.channels)
                self._builder.elementwise(
                    f"{concat.name}[{offset}:]", "copy", self._tensor(source), None, None, target
                )
            placed.add(source)
            offset += source.channels
