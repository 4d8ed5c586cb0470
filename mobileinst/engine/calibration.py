"""The values of all nodes that integers may compute, as float32, for choosing ranges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine.emit import Program, compile_program
from mobileinst.engine.graph import VIEWS, Graph, Node
from mobileinst.engine.parameters import ConvLayer, Normalisation, Parameters
from mobileinst.engine.passes import simplify
from mobileinst.engine.precision import TABLED, Precision, assign_types
from mobileinst.engine.session import record_network, thread_pool
from mobileinst.weights import Weights

#: Sections that a keyframe runs; mask features of their own come after.
_RUN_SECTIONS = 2


class Observer:
    """The network in float32 at one input size, every node of which can be read.

    Attributes:
        activations: What follows the sums of nodes, which are named ``<name>:sums``.
        convolutions: By the name of a convolution its layer, the node that it reads and the first channel of
            it.
        strides: Pixels of the input from one pixel of a node's map to the next; of maps alone.
        program: The plan.
    """

    def __init__(
        self, weights: Weights, parameters: Parameters, size: tuple[int, int], pool: _native.ThreadPool
    ) -> None:
        self._weights = weights
        self.activations: dict[str, str] = {}
        self.strides: dict[str, int] = {}
        self.convolutions: dict[str, tuple[ConvLayer, str, int]] = {}
        self._height = size[0]
        graph, outputs = record_network(weights, parameters, size)
        self._named: list[str] = []
        self.program: Program = compile_program(graph, parameters, outputs, pool, observe=self._observe)

    def _observe(self, graph: Graph) -> dict[str, Node]:
        """Take the activations that integers look up out of their convolutions; all nodes by name."""
        order: list[Node] = []
        for node in graph.nodes:
            if node.kind == "conv":
                source, first = _source(node.inputs[0])
                self.convolutions[node.name] = node.attributes["weights"], source.name, first
            if node.kind == "conv" and node.activation in TABLED:
                sums = Node("conv", f"{node.name}:sums", *node.shape, attributes=node.attributes)
                sums.section = node.section
                graph.set_inputs(sums, node.inputs[:1])
                activated = Node("copy", f"{node.name}:activated", *node.shape, activation=node.activation)
                activated.section = node.section
                graph.set_inputs(activated, [sums])
                self.activations[sums.name] = str(node.activation)
                order += [sums, activated]
                if len(node.inputs) > 1:
                    node.kind, node.activation, node.attributes = "add", None, {}
                    graph.set_inputs(node, [activated, node.inputs[1]])
                else:
                    node.kind, node.activation, node.attributes = "copy", None, {}
                    graph.set_inputs(node, [activated])
            order.append(node)
        graph.nodes = order
        found = {
            node.name: node
            for node in graph.nodes
            if node.kind not in ("constant", *VIEWS) and node.section < _RUN_SECTIONS
        }
        self._named = list(found)
        self.strides = {
            name: round(self._height / node.height) for name, node in found.items() if node.height > 1
        }
        return found

    def run(self, frame: NDArray[np.uint8], *, bgr: bool = False) -> None:
        """The whole network on a frame uint8 (H, W, 3) of any size."""
        plan, weights = self.program.plan, self._weights
        plan.load_frame(self.program.tensors["image"], frame, list(weights.mean), list(weights.std), bgr)
        for section in range(_RUN_SECTIONS):
            plan.run(section)

    def names(self) -> list[str]:
        """Of the nodes that can be read."""
        return self._named

    def read(self, name: str) -> NDArray[np.float32]:
        """The values of a node in the last run, (pixels, channels)."""
        return self.program.read_tokens(name)


class Observers:
    """Those of a model, made for each input size when it is first asked for.

    Args:
        weights: Of a whole model.
        threads: That run them; None means as many as are fastest here.
    """

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        self._weights = weights
        self._parameters = Parameters(weights.tensors, _native.tier())
        self._pool = thread_pool(threads)
        self._made: dict[tuple[int, int], Observer] = {}

    def of(self, size: tuple[int, int]) -> Observer:
        """That of an input size (height, width)."""
        if size not in self._made:
            self._made[size] = Observer(self._weights, self._parameters, size, self._pool)
        return self._made[size]


def int8_graph(weights: Weights, precision: Precision) -> Graph:
    """The network at the weights' own size with the types that its nodes have."""
    parameters = Parameters(weights.tensors, "ref")
    graph, outputs = record_network(weights, parameters, (weights.size, weights.size))

    def fuses(node: Node) -> bool:
        return precision.fuses(node, parameters.tier)

    final = simplify(graph, set(outputs.values()), fuses=fuses)
    assign_types(graph, {name: final[node] for name, node in outputs.items()}, precision, parameters.tier)
    return graph


def int8_inputs(weights: Weights, precision: Precision) -> dict[str, Normalisation]:
    """What int8 folds into weights, by the names of layers: of those that read the image's bytes, or a
    concatenation whose parts have quantisations of their own."""
    return {
        node.attributes["weights"].name: node.attributes["normalisation"]
        for node in int8_graph(weights, precision).nodes
        if "normalisation" in node.attributes
    }


def _source(node: Node) -> tuple[Node, int]:
    """The node whose values a view shows, and its first channel there."""
    first = 0
    while node.kind in VIEWS:
        first += node.attributes.get("offset", 0)
        node = node.inputs[0]
    return node, first
