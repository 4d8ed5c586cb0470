"""Which type each node of a graph computes in: the last pass, which also puts conversions between.

A policy says which nodes may leave float32: those that the tier has kernels for and, for int8, those whose
values have a known range. Everything else, inputs and outputs of plans stay float32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from mobileinst import _native
from mobileinst.engine.graph import VIEWS, Graph, Node, places_in_concats
from mobileinst.engine.parameters import ConvLayer, Normalisation
from mobileinst.engine.types import DType, Quantisation
from mobileinst.weights import Range

#: Values of ``precision=`` and of the environment variable MOBILEINST_PRECISION.
PrecisionName = Literal["fp32", "fp16", "int8", "auto"]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)
DEFAULT_PRECISION: PrecisionName = "fp32"

#: The type that most of a network computes in.
_DTYPES: Mapping[str, DType] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}

#: The folder of src/cpp/kernels that computes a kind of node, where it has another name; None: floats only.
_KERNELS = {
    "add": "elementwise",
    "average_pool": "pooling",
    "copy": "elementwise",
    "max_pool": "pooling",
    "multiply": "elementwise",
    "multiply_add": "elementwise",
    "select": None,
    "window_max": "pooling",
}
#: The feature of a processor that computes in half precision, which other tiers only emulate.
_HALF_ARITHMETIC = "asimdhp"
#: Tiers whose kernels of integers are those of narrower vectors, slower than their own of floats.
_SLOW_INTEGERS = ("avx512",)
_INT8_MAXIMA = ("max_pool", "window_max")
#: Nodes that a value passes unchanged: they take the type that their readers want.
_PASSING = ("concat", *VIEWS)
#: Products that one rounded value must be part of, on the average of both sides, to make up for it.
_LEAST_GAIN = 16
#: Activations whose argument is rounded, too, before a table gives the result.
TABLED = ("silu", "hard_sigmoid")
#: What the integers of an image stand for: its bytes.
IMAGE: Quantisation = (1.0, -128)
#: Bits of that argument (kTabled in src/cpp/kernels/convolution/tabled.h).
TABLE_BITS = 9


@dataclass(frozen=True)
class Precision:
    """A policy: the type that nodes compute in where they can.

    Attributes:
        dtype: That type.
        floats: For int8, the type of what doesn't compute in integers, where the tier has kernels of it:
            float32, or float16, beside which only convolutions that it is slower for are worth integers.
        ranges: Least and largest value of nodes by name, for int8; ``<name>:sums`` is that of an activation's
            argument. A node without one stays in float32.
        keep: Names of nodes that stay in ``floats`` whatever their ranges.
    """

    dtype: DType = "float32"
    ranges: Mapping[str, Range] = field(default_factory=dict)
    keep: Collection[str] = ()
    floats: DType = "float32"

    def fuses(self, node: Node, tier: str) -> bool:
        """Whether a node may be part of a larger one, rather than compute in integers by itself."""
        alone = self.dtype == "int8" and node.name in self.ranges and node.name not in self.keep
        if not alone or _native.has_kernels("inverted_residual", self.dtype, tier):
            return True
        return node.kind == "conv" and not self.pays(node)

    def pays(self, conv: Node) -> bool:
        """Whether a convolution is faster in integers than in ``floats``, if it is a half.

        Depthwise and 3x3 convolutions aren't: SDOT multiplies twice as many values as FMLA of halves, but
        they must belong to one output, and Winograd's transforms save more. Others gain with each product,
        and lose with each value that is rounded, on both sides.
        """
        if self.floats == "float32":
            return True
        layer: ConvLayer = conv.attributes["weights"]
        if layer.kind not in ("gemm", "conv_direct"):
            return False
        seen, outputs = layer.inputs // layer.groups * layer.kernel_size**2, layer.outputs
        return seen * outputs > _LEAST_GAIN * (seen + outputs)

    @property
    def name(self) -> str:
        """As ``precision=`` has it."""
        return next(name for name, dtype in _DTYPES.items() if dtype == self.dtype)


#: Everything in float32.
FLOAT32 = Precision()


def choose_precision(
    name: str | None, tier: str | None, ranges: Mapping[str, Range], keep: Collection[str] = ()
) -> Precision:
    """The policy of that name, or of MOBILEINST_PRECISION, or else the default; for a tier or that in use.

    "auto" is fp16 where the processor has arithmetic of it, else int8 where the tier has kernels of it that
    are faster than those of floats, and the weights ranges. In int8 the nodes in `keep` stay in floats.

    Raises:
        ValueError: for an unknown name, and for a precision that the tier or the weights lack.
    """
    tier = _native.tier() if tier is None else tier
    given = name if name is not None else os.environ.get("MOBILEINST_PRECISION") or DEFAULT_PRECISION
    where = "precision" if name is not None else "environment variable MOBILEINST_PRECISION"
    if given not in PRECISIONS:
        raise ValueError(f"{where}: expected {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, got {given!r}")
    if given == "auto":
        offered = [chosen for chosen in _fast_precisions(tier) if chosen != "int8" or ranges]
        given = offered[-1]
    dtype = _DTYPES[given]
    if given not in offered_precisions(tier):
        raise ValueError(f"{where}: the instruction set {tier!r} has no kernels for {given}")
    if dtype == "int8" and not ranges:
        raise ValueError(
            f"{where}: these weights hold no ranges for int8; python -m weights_tools.quantise adds them"
        )
    floats: DType = "float16" if _HALF_ARITHMETIC in _native.tier_features(tier) else "float32"
    return Precision(dtype, ranges, keep, floats) if dtype == "int8" else Precision(dtype)


def offered_precisions(tier: str | None = None) -> list[PrecisionName]:
    """Those that a tier, or that in use, has kernels of, "auto" apart, the fastest last."""
    return [
        name for name in PRECISIONS if name != "auto" and _native.has_kernels("gemm", _DTYPES[name], tier)
    ]


def _fast_precisions(tier: str) -> list[PrecisionName]:
    """The same without those that are slower than another.

    On ARM, where int8 needs fewer instructions than halves, the latter are last all the same: they stay
    nearer to float32 (docs/engine.md).
    """
    offered = offered_precisions(tier)
    if _HALF_ARITHMETIC in _native.tier_features(tier):
        return sorted(offered, key=lambda name: name == "fp16")
    left_out = {"fp16", "int8"} if tier in _SLOW_INTEGERS else {"fp16"}
    return [name for name in offered if name not in left_out]


def quantisation_of(values: Range, bits: int = 8) -> Quantisation:
    """Scale and zero of integers of so many bits for values of a range, which is widened to hold 0."""
    low, high = min(values[0], 0.0), max(values[1], 0.0)
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    scale = (high - low) / (most - least) or 1.0
    return scale, max(least, min(most, round(least - low / scale)))


def divided_by_half(quantisation: Quantisation) -> Quantisation:
    """The nearest quantisation whose scale's inverse is a half, by which halves are multiplied."""
    scale, zero = quantisation
    return 1.0 / float(np.float16(min(max(1.0 / scale, 2.0**-14), 2.0**15))), zero


def assign_types(
    graph: Graph, outputs: Mapping[str, Node], precision: Precision, tier: str
) -> dict[str, Node]:
    """Give every node its type and add conversions.

    Returns:
        The outputs, each as float32.
    """
    if precision.dtype == "float32":
        return dict(outputs)
    types = _Types(graph, outputs.values(), precision, tier)
    types.assign()
    return types.convert(outputs)


class _Types:
    def __init__(self, graph: Graph, outputs: Collection[Node], precision: Precision, tier: str) -> None:
        self._graph = graph
        self._outputs = set(outputs)
        self._precision = precision
        self._tier = tier
        #: The type that each node takes its inputs in.
        self._reads: dict[Node, DType] = {}
        self._conversions: dict[tuple[Node, DType], Node] = {}
        #: Concatenations whose inputs keep their own quantisations.
        self._apart: set[Node] = set()

    def assign(self) -> None:
        """The types of all nodes, those of readers first."""
        for node in reversed(self._graph.nodes):
            self._reads[node] = self._type_of(node)
            node.dtype = self._reads[node]
            if node.kind == "conv" and node.dtype == "int8" and self._gives_floats(node):
                halves = any(self._taken_as(user, node) == "float16" for user in node.users)
                node.dtype = "float16" if halves else "float32"
            if self._keeps_parts_apart(node):
                self._apart.add(node)

    def convert(self, outputs: Mapping[str, Node]) -> dict[str, Node]:
        """Add conversions wherever types differ, before the first reader, or behind an output."""
        order: list[Node] = []
        final = dict(outputs)
        for node in self._graph.nodes:
            inputs = []
            for position, source in enumerate(node.inputs):
                # A residual is added to what the node gives.
                wanted = node.dtype if node.kind == "conv" and position == 1 else self._reads[node]
                inputs.append(self._converted(source, wanted, node.section, order))
            if inputs != node.inputs:
                self._graph.set_inputs(node, inputs)
            order.append(node)
            for name, output in outputs.items():
                if output is node:
                    final[name] = self._converted(node, "float32", node.section, order)
        self._graph.nodes = order
        self._quantise()
        return final

    def _converted(self, source: Node, dtype: DType, section: int, order: list[Node]) -> Node:
        """A node's values in a type: itself, or its conversion, made now if there is none yet."""
        if source.dtype == dtype:
            return source
        key = source, dtype
        if key not in self._conversions:
            if source in self._apart:
                node = Node("concat", f"{source.name}:{dtype}", *source.shape, dtype=dtype)
                node.inputs = [
                    self._converted(_unconverted(part, dtype), dtype, section, order)
                    for part in source.inputs
                ]
            else:
                node = Node("convert", f"{source.name}:{dtype}", *source.shape, [source], dtype=dtype)
            node.section = section
            for read in node.inputs:
                read.users.append(node)
            order.append(node)
            self._conversions[key] = node
        return self._conversions[key]

    def _type_of(self, node: Node) -> DType:
        """The type that a node reads; those of its readers are known."""
        if node.kind == "input" and node.users and all(map(self._reads_image, node.users)):
            return "int8"
        if self._reads_image(node):
            return "int8"
        if node.kind in ("input", "constant"):
            return "float32"
        return next((dtype for dtype in self._wanted(node) if self._can(node, dtype)), "float32")

    def _wanted(self, node: Node) -> list[DType]:
        """Types that a node would compute in, the best first, whether or not it can."""
        wanted: list[DType] = [self._precision.dtype]
        if self._precision.dtype == "int8":
            conv = node.kind == "conv" and self._precision.pays(node)
            read = any(self._reads[user] == "int8" for user in node.users)
            integers = conv or node.kind in _PASSING or (read and self._suits_integers(node))
            wanted = [self._precision.floats]
            if integers and node.name not in self._precision.keep:
                wanted.insert(0, "int8")
        if node.kind in _PASSING:
            return [dtype for dtype in wanted if any(self._reads[user] == dtype for user in node.users)]
        return wanted

    def _suits_integers(self, node: Node) -> bool:
        """Whether a node that is no convolution computes in integers where those that read it do.

        A resize of halves is as fast, and what users read of it would be rounded for nothing.
        """
        if node.kind == "resize":
            plain = len(node.inputs) < 3 and node.activation in (None, "relu", "relu6")
            return plain and node not in self._outputs and self._precision.floats == "float32"
        return node.kind in _INT8_MAXIMA

    def _reads_image(self, node: Node) -> bool:
        """Whether a node convolves the image's bytes, with the normalisation in its weights."""
        if self._precision.dtype != "int8" or node.kind != "conv" or node.name in self._precision.keep:
            return False
        source = node.inputs[0]
        layer: ConvLayer = node.attributes["weights"]
        return (
            source.kind == "input"
            and "mean" in source.attributes
            and (layer.kind, layer.groups) == ("conv_direct", 1)
            and all(_native.has_kernels(name, "int8", self._tier) for name in ("conv_direct", "preprocess"))
        )

    def _can(self, node: Node, dtype: DType) -> bool:
        """Whether the tier has the kernel and, for int8, everything that is rounded has a range."""
        if node.kind not in _PASSING:
            conv = node.kind == "conv"
            kernel = node.attributes["weights"].kind if conv else _KERNELS.get(node.kind, node.kind)
            if kernel is None or not _native.has_kernels(kernel, dtype, self._tier):
                return False
        return dtype != "int8" or self._has_ranges(node)

    def _has_ranges(self, node: Node) -> bool:
        names = self._own_ranges(node)
        if node.kind != "concat":  # what lies in a concatenation has its range
            names += [_viewed(source).name for source in node.inputs]
        return all(name in self._precision.ranges for name in names)

    @staticmethod
    def _own_ranges(node: Node) -> list[str]:
        """The names of a node's ranges."""
        return [node.name, *([f"{node.name}:sums"] if node.activation in TABLED else [])]

    def _gives_floats(self, conv: Node) -> bool:
        """Whether an int8 convolution stores floats: where nobody reads integers, or they have no range.

        Sums to which convolutions add one after the other, as a decoder's queries, so stay floats.
        """
        if not all(name in self._precision.ranges for name in self._own_ranges(conv)):
            return True
        if conv.activation in TABLED:
            return False
        return not any(self._takes_integers(user, conv) for user in conv.users)

    def _keeps_parts_apart(self, node: Node) -> bool:
        """Whether the inputs of a concatenation need no common quantisation.

        1x1 convolutions take them as they are, with the differences in their weights and biases.
        """
        if node.kind != "concat" or node.dtype != "int8":
            return False
        readers = [user for user in node.users if self._takes_integers(user, node)]
        return all(
            user.kind == "conv"
            and user.attributes["weights"].kind == "gemm"
            and user.inputs[0] is node
            and node not in user.inputs[1:]
            for user in readers
        )

    def _taken_as(self, user: Node, source: Node) -> DType:
        """The type that a node, whose types are known, takes the values of one of its inputs in."""
        residual = user.kind == "conv" and user.inputs[0] is not source
        return user.dtype if residual else self._reads[user]

    def _takes_integers(self, user: Node, source: Node) -> bool:
        return self._taken_as(user, source) == "int8"

    def _quantise(self) -> None:
        """The quantisations of all integers: by range, but for what lies in a common concatenation."""
        placed = places_in_concats(self._graph)
        for node in self._graph.nodes:
            if node.kind == "conv" and self._reads[node] == "int8":
                if self._reads_image(node):
                    self._read_image(node)
                elif node.inputs[0] in self._apart:
                    self._read_parts(node)
            if node.dtype != "int8":
                continue
            if node.kind == "input":
                node.quantisation = IMAGE
            elif node in placed and placed[node][0] not in self._apart:
                node.quantisation = self._of_range(placed[node][0])
            elif node.kind in VIEWS or node.kind in _INT8_MAXIMA:
                node.quantisation = node.inputs[0].quantisation
            elif node in placed:
                node.quantisation = self._of_part(node, placed[node][0])
            else:
                node.quantisation = self._of_range(node)
            if node in self._apart:
                node.attributes["parts"] = [part.quantisation for part in node.inputs]
            sums = self._precision.ranges.get(f"{node.name}:sums")
            if node.kind == "conv" and sums is not None and node.activation in TABLED:
                scale, zero = quantisation_of(sums, TABLE_BITS)
                node.attributes |= {"sums_scale": scale, "sums_zero": zero}

    def _of_part(self, part: Node, concat: Node) -> Quantisation:
        """That of an input of a concatenation, of constants one that is the same for all sizes."""
        source = _viewed(part.inputs[0] if part.kind == "convert" else part)
        if source.name in self._precision.ranges:
            return self._quantisation(self._precision.ranges[source.name])
        if source.kind == "constant":
            power = 2.0 ** math.ceil(math.log2(float(np.abs(source.attributes["values"]).max()) or 1.0))
            return self._quantisation((-power, power))
        return self._of_range(concat)

    @staticmethod
    def _read_parts(conv: Node) -> None:
        """Let a convolution take the inputs of a concatenation in their own quantisations."""
        concat = conv.inputs[0]
        assert concat.quantisation is not None
        scale, zero = concat.quantisation
        mean: list[float] = []
        std: list[float] = []
        for part, (own, own_zero) in zip(concat.inputs, concat.attributes["parts"], strict=True):
            mean += [scale * (own_zero - zero)] * part.channels
            std += [scale / own] * part.channels
        conv.attributes["normalisation"] = Normalisation(tuple(mean), tuple(std))

    @staticmethod
    def _read_image(conv: Node) -> None:
        """Let a convolution take bytes: outside the image lies what is normalised to 0, rounded."""
        normalisation = Normalisation(*(tuple(conv.inputs[0].attributes[name]) for name in ("mean", "std")))
        border = tuple(min(max(round(mean), 0), 255) + IMAGE[1] for mean in normalisation.mean)
        conv.attributes |= {"normalisation": normalisation, "border": border}

    def _of_range(self, node: Node) -> Quantisation:
        source = node.inputs[0] if node.kind == "convert" else node
        return self._quantisation(self._precision.ranges[_viewed(source).name])

    def _quantisation(self, values: Range) -> Quantisation:
        found = quantisation_of(values)
        return found if self._precision.floats == "float32" else divided_by_half(found)


def _unconverted(node: Node, dtype: DType) -> Node:
    """What a conversion was made of, where that has the wanted type already."""
    return node.inputs[0] if node.kind == "convert" and node.inputs[0].dtype == dtype else node


def _viewed(node: Node) -> Node:
    """The node whose values a view shows."""
    while node.kind in VIEWS:
        node = node.inputs[0]
    return node
