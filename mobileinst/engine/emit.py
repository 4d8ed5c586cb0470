"""From a graph to a native plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine.backend import layer_key
from mobileinst.engine.graph import VIEWS, Graph, Node, places_in_concats
from mobileinst.engine.parameters import ConvLayer, Parameters
from mobileinst.engine.passes import simplify
from mobileinst.engine.precision import FLOAT32, Precision, assign_types
from mobileinst.engine.types import DType


class Program:
    """A native plan with the numbers of its named inputs and outputs.

    Attributes:
        plan: The plan; ``plan.run(section)`` runs a section.
        tensors: Tensor number of each input and output by name.
        weights: What the plan's layers are packed to; kept by whoever uses it, and freed with the last.
    """

    def __init__(
        self, plan: _native.Plan, tensors: dict[str, int], weights: Sequence[_native.ConvWeights]
    ) -> None:
        self.plan = plan
        self.tensors = tensors
        self.weights = weights

    def read(self, name: str) -> NDArray[np.float32]:
        """An output as float32 (C, H, W)."""
        return self.plan.read(self.tensors[name])

    def read_tokens(self, name: str) -> NDArray[np.float32]:
        """An output as float32 (N, C)."""
        return self.plan.read_tokens(self.tensors[name])


def compile_program(
    graph: Graph,
    parameters: Parameters,
    outputs: Mapping[str, Node],
    pool: _native.ThreadPool,
    precision: Precision = FLOAT32,
    observe: Callable[[Graph], dict[str, Node]] | None = None,
) -> Program:
    """Simplify a recorded graph and plan it; all sections share one arena.

    Args:
        graph: What was recorded; it is used up.
        parameters: Where layers come from.
        outputs: Nodes by the names under which they are read. They and the inputs keep their values until the
            plan runs again.
        pool: Threads that run the plan.
        precision: Which nodes compute in another type than float32.
        observe: Names more outputs of the simplified graph, which it may change.
    """

    def fuses(node: Node) -> bool:
        return observe is None and precision.fuses(node, parameters.tier)

    final = simplify(graph, set(outputs.values()), fuses=fuses)
    named = {name: final[node] for name, node in outputs.items()}
    _fold_constants(graph, parameters, named, pool)
    if observe is not None:
        named |= observe(graph)
    named = assign_types(graph, named, precision, parameters.tier)
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
        self._weights: list[_native.ConvWeights] = []
        self._slices = places_in_concats(graph)

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
        return Program(_native.Plan(self._builder, pool), tensors, self._weights)

    def _tensor(self, node: Node) -> int:
        """The number of a node's tensor, made at first use."""
        if node not in self._tensors:
            self._tensors[node] = self._new_tensor(node)
        return self._tensors[node]

    def _new_tensor(self, node: Node) -> int:
        if node in self._slices:
            concat, offset = self._slices[node]
            return self._builder.slice(self._tensor(concat), offset, node.channels, node.quantisation)
        if node.kind == "constant":
            values = self._builder.constant(node.attributes["values"])
            return self._builder.reshape(values, node.height, node.width)
        if node.kind == "slice":
            return self._builder.slice(self._tensor(node.inputs[0]), node.attributes["offset"], node.channels)
        if node.kind == "reshape":
            return self._builder.reshape(self._tensor(node.inputs[0]), node.height, node.width)
        return self._builder.tensor(*node.shape, node.dtype, node.quantisation)

    def _emit(self, node: Node) -> None:
        if node.kind in ("input", "constant", *VIEWS):
            return
        if node.kind == "concat":
            self._emit_copies(node)
        elif node.kind == "conv":
            self._emit_conv(node)
        else:
            # SeaFormer's tokens are floats, whatever its maps are.
            dtype = "float32" if node.kind == "axial_attention" else node.inputs[0].dtype
            attributes = {name: self._attribute(value, dtype) for name, value in node.attributes.items()}
            self._add(node.kind, node, **attributes)

    def _add(self, op: str, node: Node, **attributes: Any) -> None:
        inputs = [self._tensor(source) for source in node.inputs]
        self._builder.add(op, node.name, inputs, self._tensor(node), node.activation, **attributes)

    def _attribute(self, value: Any, dtype: DType) -> Any:
        """As the plan takes it; layers are multiplied with inputs of a type."""
        return self._packed(value, dtype=dtype) if isinstance(value, ConvLayer) else value

    def _packed(self, layer: ConvLayer, *, dtype: DType, **packing: Any) -> _native.ConvWeights:
        """A layer's weights, which the program will hold."""
        self._weights.append(self._parameters.packed(layer, dtype=dtype, **packing))
        return self._weights[-1]

    def _emit_conv(self, node: Node) -> None:
        layer: ConvLayer = node.attributes["weights"]
        if self._takes_xnnpack(node):
            weight, bias = self._parameters.folded(layer)
            self._add("xnnpack", node, weight=weight, bias=bias, stride=layer.stride, groups=layer.groups)
            return
        # Other kinds know no tiles, and one packing serves maps of all sizes.
        winograd = layer.kind == "conv3x3"
        dtype = node.inputs[0].dtype
        packing: dict[str, Any] = {"normalisation": node.attributes.get("normalisation")}
        if winograd:
            packing["winograd_tile"] = _native.winograd_tile(node.height, node.width, dtype)
        named = {
            key: node.attributes[key]
            for key in ("sums_scale", "sums_zero", "border")
            if key in node.attributes
        }
        self._add("conv", node, weights=self._packed(layer, dtype=dtype, **packing), **named)

    def _takes_xnnpack(self, conv: Node) -> bool:
        """XNNPACK's operators take floats, add no residual and know neither hard sigmoid nor SiLU."""
        if (
            conv.inputs[0].dtype != "float32"
            or len(conv.inputs) > 1
            or conv.activation in ("hard_sigmoid", "silu")
        ):
            return False
        layer: ConvLayer = conv.attributes["weights"]
        key = layer_key(
            *conv.inputs[0].shape,
            conv.channels,
            kernel_size=layer.kernel_size,
            stride=layer.stride,
            groups=layer.groups,
        )
        return self._parameters.backend.takes_xnnpack(key)

    def _emit_copies(self, concat: Node) -> None:
        offset, placed = 0, set()
        for position, source in enumerate(concat.inputs):
            if self._slices.get(source) != (concat, offset) or source in placed:
                parts = concat.attributes.get("parts")
                quantisation = parts[position] if parts else None
                target = self._builder.slice(self._tensor(concat), offset, source.channels, quantisation)
                op = "convert" if concat.dtype == "int8" else "copy"  # to another scale, perhaps
                self._builder.add(op, f"{concat.name}[{offset}:]", [self._tensor(source)], target)
            placed.add(source)
            offset += source.channels
