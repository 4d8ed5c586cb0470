"""Simplifications of a graph: what several nodes say, one native kernel does.

Each pass keeps the nodes in an order in which inputs come first. A pair is joined only where the first node
has no other reader and is not an output of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mobileinst.engine.graph import Graph, Node
from mobileinst.engine.parameters import ConvLayer

#: Nodes whose native kernels end in an activation.
_ACTIVATED = ("conv", "attention", "copy", "add", "multiply", "multiply_add", "resize")


def simplify(
    graph: Graph, outputs: Collection[Node], *, fuses: Callable[[Node], bool] = lambda node: True
) -> dict[Node, Node]:
    """Run all passes.

    Args:
        graph: What is simplified.
        outputs: Nodes whose values are read.
        fuses: Whether a convolution may become a part of an inverted residual.

    Returns:
        Which node now stands for each output.
    """
    rewriter = _Rewriter(graph, outputs, fuses)
    rewriter.drop_dead()
    for rule in (_activation, _resized_gate, _multiply_add, _resize_add, _residual, _inverted_residual):
        rewriter.apply(rule)
        rewriter.drop_dead()
    return rewriter.outputs


class _Rewriter:
    def __init__(self, graph: Graph, outputs: Collection[Node], fuses: Callable[[Node], bool]) -> None:
        self.graph = graph
        self.fuses = fuses
        self.outputs = {node: node for node in outputs}

    def drop_dead(self) -> None:
        self.graph.remove_dead(self.outputs.values())

    def apply(self, rule: Callable[[_Rewriter, Node], Node | None]) -> None:
        """Offer every node to a rule, which returns the node that replaces it, at its place, or None."""
        order: list[Node] = []
        for node in self.graph.nodes:
            new = rule(self, node)
            if new is None:
                order.append(node)
                continue
            if new is not node:
                self._replace(node, new)
                order = [other for other in order if other is not new]
            order.append(new)
        self.graph.nodes = order

    def _replace(self, old: Node, new: Node) -> None:
        for source in old.inputs:
            source.users.remove(old)
        old.inputs = []
        self.graph.replace(old, new)
        for key, value in self.outputs.items():
            if value is old:
                self.outputs[key] = new

    def private(self, node: Node) -> bool:
        """Whether only one node reads it, so that it may be changed or dropped."""
        return len(node.users) == 1 and not any(node is output for output in self.outputs.values())


def _activation(rewriter: _Rewriter, node: Node) -> Node | None:
    """activate(x) into x; looks through a view, which then follows."""
    if node.kind != "copy" or node.activation is None:
        return None
    source = node.inputs[0]
    while source.kind == "reshape" and rewriter.private(source):
        source = source.inputs[0]
    if source.kind not in _ACTIVATED or source.activation is not None or not rewriter.private(source):
        return None
    if source.kind == "conv" and len(source.inputs) > 1:
        return None  # its activation comes before the residual
    source.activation = node.activation
    return node.inputs[0]


def _summands(node: Node) -> Sequence[tuple[Node, Node]]:
    """A sum's inputs in both orders; nothing for other nodes."""
    if node.kind != "add":
        return ()
    a, b = node.inputs
    return (a, b), (b, a)


def _is_private_product(rewriter: _Rewriter, node: Node) -> bool:
    return node.kind == "multiply" and node.activation is None and rewriter.private(node)


def _is_private_resize(rewriter: _Rewriter, node: Node) -> bool:
    return (
        node.kind == "resize" and len(node.inputs) == 1 and node.activation is None and rewriter.private(node)
    )


def _resized_gate(rewriter: _Rewriter, node: Node) -> Node | None:
    """local * resize(gate) + resize(shift), TopFormer's injection, as one resize."""
    for product, shift in _summands(node):
        if not _is_private_product(rewriter, product) or not _is_private_resize(rewriter, shift):
            continue
        for local, gate in (product.inputs, product.inputs[::-1]):
            if _is_private_resize(rewriter, gate) and gate.inputs[0].shape == shift.inputs[0].shape:
                node.kind = "resize"
                rewriter.graph.set_inputs(node, [gate.inputs[0], local, shift.inputs[0]])
                return node
    return None


def _multiply_add(rewriter: _Rewriter, node: Node) -> Node | None:
    """a * b + c, the semantic enhancer, as one node."""
    for product, addend in _summands(node):
        if _is_private_product(rewriter, product):
            node.kind = "multiply_add"
            rewriter.graph.set_inputs(node, [*product.inputs, addend])
            return node
    return None


def _resize_add(rewriter: _Rewriter, node: Node) -> Node | None:
    """local + resize(x) as one resize."""
    for local, resized in _summands(node):
        if _is_private_resize(rewriter, resized):
            node.kind = "resize"
            rewriter.graph.set_inputs(node, [resized.inputs[0], local])
            return node
    return None


def _residual(rewriter: _Rewriter, node: Node) -> Node | None:
    """conv(x) + y as the convolution's epilogue."""
    if node.activation is not None:
        return None
    for conv, other in _summands(node):
        if conv.kind == "conv" and len(conv.inputs) == 1 and conv is not other and rewriter.private(conv):
            inputs = [conv.inputs[0], other]
            node.kind, node.name, node.activation = "conv", conv.name, conv.activation
            node.attributes = conv.attributes
            rewriter.graph.set_inputs(node, inputs)
            return node
    return None


#: Expanded maps of fewer floats stay in cache anyway, and computing them whole splits better over threads.
_FUSED_FROM = 1 << 18


def _inverted_residual(rewriter: _Rewriter, node: Node) -> Node | None:
    """1x1, depthwise and 1x1 convolution in one pass, so that the expanded map is never in memory."""
    if node.kind != "conv" or not _is_pointwise(node) or node.activation is not None:
        return None
    depthwise = node.inputs[0]
    if not (_is_depthwise(depthwise) and rewriter.private(depthwise)):
        return None
    if not rewriter.fuses(node) or not rewriter.fuses(depthwise):
        return None
    source = expanded = depthwise.inputs[0]
    expand = None
    if (
        source.kind == "conv"
        and _is_pointwise(source)
        and len(source.inputs) == 1
        and source.activation == depthwise.activation
        and rewriter.private(source)
        and rewriter.fuses(source)
    ):
        expand = source.attributes["weights"]
        source = source.inputs[0]
    if expanded.height * expanded.width * expanded.channels < _FUSED_FROM:
        return None
    filters, project = depthwise.attributes["weights"], node.attributes["weights"]
    node.name = _common_prefix(filters.name, project.name)
    node.kind, node.activation = "inverted_residual", depthwise.activation
    node.attributes = {"expand": expand, "depthwise": filters, "project": project}
    rewriter.graph.set_inputs(node, [source, *node.inputs[1:]])
    return node


def _is_pointwise(conv: Node) -> bool:
    """A dense 1x1 convolution, stride 1."""
    layer: ConvLayer = conv.attributes["weights"]
    return layer.kind == "gemm"


def _is_depthwise(node: Node) -> bool:
    """A depthwise convolution that the fused native kernel knows, without residual."""
    if node.kind != "conv" or len(node.inputs) > 1:
        return False
    layer: ConvLayer = node.attributes["weights"]
    return layer.kind == "depthwise" and layer.kernel_size in (3, 5) and layer.stride in (1, 2)


def _common_prefix(a: str, b: str) -> str:
    """The dotted parts that two names begin with."""
    parts = []
    for x, y in zip(a.split("."), b.split("."), strict=False):
        if x != y:
            break
        parts.append(x)
    return ".".join(parts)
