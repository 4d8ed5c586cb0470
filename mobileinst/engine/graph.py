"""A recorded network: nodes with one result each, in the order they were asked for.

:class:`NativeOps` is the interpreter of :mod:`mobileinst.network` that records them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst.engine.parameters import ConvLayer, Parameters
from mobileinst.engine.types import DType, Quantisation
from mobileinst.network.ops import Activation, ConvSpec, Operation, Ops, Shape, Size
from mobileinst.network.position import interpolate_positions, sine_position_embedding

#: Nodes that hold no memory of their own: views of their input.
VIEWS = ("slice", "reshape")


@dataclass(eq=False)
class Node:
    """An operation and its result: a map (height, width, channels), or tokens, whose height is 1.

    ``kind`` is what native plans call it (src/cpp/plan/nodes), with the same attributes, where layers stand
    for packed weights; or it is "input", "constant" (of ``values``), "concat", "slice" (from ``offset``) or
    "reshape".
    ``users`` lists the nodes that read it, once for each time they do; ``section`` is the part of the plan
    that computes it. ``dtype`` is the type of its values, for int8 with their ``quantisation``.
    """

    kind: str
    name: str
    height: int
    width: int
    channels: int
    inputs: list[Node] = field(default_factory=list)
    users: list[Node] = field(default_factory=list)
    activation: Activation | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    section: int = 0
    dtype: DType = "float32"
    quantisation: Quantisation | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def __repr__(self) -> str:
        return f"{self.kind} {self.name} {self.height}x{self.width}x{self.channels}"


class Graph:
    """Nodes in an order in which each follows its inputs. Nodes that are added belong to ``section``."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.section = 0

    def add(self, node: Node) -> Node:
        """Append a node and register it with its inputs."""
        for source in node.inputs:
            source.users.append(node)
        node.section = self.section
        self.nodes.append(node)
        return node

    def replace(self, old: Node, new: Node) -> None:
        """Let all readers of ``old`` read ``new``."""
        for user in old.users:
            user.inputs = [new if source is old else source for source in user.inputs]
        new.users += old.users
        old.users = []

    def set_inputs(self, node: Node, inputs: Sequence[Node]) -> None:
        """Change what a node reads."""
        for source in node.inputs:
            source.users.remove(node)
        node.inputs = list(inputs)
        for source in node.inputs:
            source.users.append(node)

    def postpone(self, node: Node, section: int) -> None:
        """Compute a node that no other reads in a section after all others."""
        if node.users:
            raise ValueError(f"{node} is read by {node.users[0]}")
        self.nodes.remove(node)
        node.section = section
        self.nodes.append(node)

    def remove_dead(self, outputs: Iterable[Node]) -> None:
        """Drop nodes that no output needs; inputs stay."""
        kept = {id(node) for node in outputs}
        alive = []
        for node in reversed(self.nodes):
            if id(node) in kept or node.users or node.kind == "input":
                alive.append(node)
            else:
                for source in node.inputs:
                    source.users.remove(node)
        self.nodes = alive[::-1]


def places_in_concats(graph: Graph) -> dict[Node, tuple[Node, int]]:
    """The nodes that are written where a concatenation wants them, with it and their first channel there.

    Other inputs of concatenations, and those that are there a second time, are copied.
    """
    places: dict[Node, tuple[Node, int]] = {}
    for concat in graph.nodes:
        if concat.kind != "concat":
            continue
        offset = 0
        for source in concat.inputs:
            if source.kind not in ("input", "constant", "concat", *VIEWS) and source not in places:
                places[source] = (concat, offset)
            offset += source.channels
    return places


class NativeOps(Ops[Node]):
    """Operations that record a :class:`Graph`.

    Args:
        graph: Where nodes are added.
        parameters: The tensors that layers are made of.
    """

    def __init__(self, graph: Graph, parameters: Parameters) -> None:
        self.graph = graph
        self.parameters = parameters

    def input(self, name: str, height: int, width: int, channels: int) -> Node:
        """A map that is filled in before the plan runs."""
        return self._add("input", name, (height, width, channels), [])

    def shape(self, x: Node) -> Shape:
        return Shape.map(x.channels, (x.height, x.width))

    def run(self, operation: Operation, *inputs: Node) -> Node:
        attributes = dict(operation.attributes)
        for attribute, (name, spec) in operation.parameters.items():
            self.parameters.check_shape(name, spec.shape)
            attributes[attribute] = self.parameters.array(name)
        out = operation.shape
        shape = (*(out.size or (1, out.rows)), out.channels)
        return self._add(
            operation.kind, operation.name, shape, list(inputs), operation.activation, **attributes
        )

    def conv(self, x: Node, name: str, spec: ConvSpec) -> Node:
        self.parameters.check_shape(f"{name}.weight", spec.weight_shape(x.channels))
        names = name, spec.norm, spec.bias
        window = spec.kernel_size, spec.stride, spec.groups
        layer = ConvLayer(*names, x.channels, spec.out_channels, *window)
        shape = (*spec.strided((x.height, x.width)), spec.out_channels)
        return self._add("conv", name, shape, [x], spec.activation, weights=layer)

    def linear(self, x: Node, name: str, out_features: int, *, activation: Activation | None = None) -> Node:
        self.parameters.check_shape(f"{name}.weight", (out_features, x.channels))
        layer = ConvLayer(name, None, True, x.channels, out_features)
        return self._add("conv", name, (x.height, x.width, out_features), [x], activation, weights=layer)

    def parameter(self, name: str, shape: tuple[int, int]) -> Node:
        self.parameters.check_shape(name, shape)
        return self.constant(self.parameters.array(name), name)

    def constant(self, values: NDArray[np.float32], name: str) -> Node:
        """Tokens (N, C) that never change."""
        return self._add("constant", name, (1, *values.shape), [], values=values)

    def axial_attention(self, q: Node, k: Node, v: Node, heads: int, scale: float, name: str) -> Node:
        attributes: dict[str, Any] = {"heads": heads, "scale": scale}
        for axis, side in (("row", v.height), ("column", v.width)):
            layer = f"{name}.proj_encode_{axis}.1"
            self.parameters.check_shape(f"{layer}.c.weight", (v.channels, v.channels, 1, 1))
            attributes |= {
                f"{axis}_query": self._positions(name, f"{axis}q", side),
                f"{axis}_key": self._positions(name, f"{axis}k", side),
                f"{axis}_encode": ConvLayer(f"{layer}.c", f"{layer}.bn", False, v.channels, v.channels),
            }
        return self._add("axial_attention", f"{name}.axial", v.shape, [q, k, v], **attributes)

    def constant_map(self, values: NDArray[np.float32], name: str) -> Node:
        rows = values.reshape(-1, values.shape[2])
        return self._add("constant", name, values.shape, [], values=rows)

    def concat(self, xs: Sequence[Node], name: str) -> Node:
        height, width = xs[0].height, xs[0].width
        return self._add("concat", name, (height, width, sum(x.channels for x in xs)), list(xs))

    def split(self, x: Node, widths: Sequence[int]) -> list[Node]:
        parts, offset = [], 0
        for channels in widths:
            shape = (x.height, x.width, channels)
            parts.append(self._add("slice", f"{x.name}[{offset}:]", shape, [x], offset=offset))
            offset += channels
        return parts

    def tokens(self, x: Node) -> Node:
        return self._add("reshape", x.name, (1, x.height * x.width, x.channels), [x])

    def as_map(self, x: Node, size: Size) -> Node:
        return self._add("reshape", x.name, (*size, x.channels), [x])

    def sine_embedding(self, size: Size, channels: int) -> Node:
        return self.constant(sine_position_embedding(size, channels), "sine_embedding")

    def _positions(self, name: str, part: str, length: int) -> NDArray[np.float32]:
        """Learned positions (1, C, 16), interpolated to the length of an axis: (length, C)."""
        key = f"{name}.pos_emb_{part}.pos_embed"
        return interpolate_positions(self.parameters.array(key)[0], length)

    def _add(
        self,
        kind: str,
        name: str,
        shape: tuple[int, int, int],
        inputs: list[Node],
        activation: Activation | None = None,
        **attributes: Any,
    ) -> Node:
        return self.graph.add(Node(kind, name, *shape, inputs, [], activation, attributes))
