"""Which groups of nodes int8 should leave in floats: those that move what is found the most.

What int8 finds on some pictures is compared with what float32 finds there, once with all nodes that have a
range in integers, then with each group in floats. The group that brings both nearest to each other is kept,
then the next beside it, until none gains enough or too much of the work would be in floats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobileinst.engine.calibration import int8_graph
from mobileinst.engine.graph import VIEWS, Node
from mobileinst.engine.parameters import ConvLayer
from mobileinst.engine.precision import Precision
from mobileinst.masks.overlap import mask_iou
from mobileinst.results import Instances
from mobileinst.segmenter import Segmenter
from mobileinst.weights import Weights

#: Pictures that are compared: those with the most objects.
PICTURES = 48
#: What a group must add to the agreement, which on so many objects says nothing below, and the most
#: multiply-adds in floats, as a share of all.
LEAST_GAIN, MOST_SHARE = 0.008, 0.1
#: Groups that are tried again beside one that is kept: the best of the round before.
_TRIED_AGAIN = 4
#: Objects of int8 count from this share of the score threshold on: whether one that stands at the threshold
#: passes is chance, and how far its score moved is not looked at.
_THRESHOLD = 0.5


@dataclass(frozen=True)
class Group:
    """Nodes that are in floats together.

    Attributes:
        nodes: Their names, and those of the convolutions behind them that give floats.
        share: Their multiply-adds as a part of the network's.
    """

    nodes: tuple[str, ...]
    share: float


class Agreement:
    """How near what int8 finds is to what float32 finds, on the frames in which that is most.

    Args:
        weights: With ranges.
        frames: uint8 (H, W, 3), of any sizes.
        count: How many of them are compared.
    """

    def __init__(self, weights: Weights, frames: Sequence[NDArray[np.uint8]], count: int = PICTURES) -> None:
        plain = Segmenter(weights, precision="fp32")
        found = [(frame, plain.segment(frame)) for frame in sorted(frames, key=lambda frame: frame.shape)]
        fullest = sorted(range(len(found)), key=lambda i: -len(found[i][1]))[:count]
        kept = [found[i] for i in sorted(fullest)]  # by size, so that the plan of each is made once
        self._frames, self._found = [frame for frame, _ in kept], [instances for _, instances in kept]

    @property
    def objects(self) -> int:
        """How many float32 finds."""
        return sum(map(len, self._found))

    def of(self, weights: Weights) -> float:
        """The mean over these objects of the IoU of their mask with the nearest that int8 finds, 0 to 1."""
        given = np.multiply(weights.score_threshold, _THRESHOLD).tolist()
        segmenter = Segmenter(
            Weights(weights.tensors, {**weights.metadata, "score_threshold": given}), precision="int8"
        )
        overlaps = [
            nearest(plain, segmenter.segment(frame))
            for plain, frame in zip(self._found, self._frames, strict=True)
            if len(plain)
        ]
        return float(np.mean(np.concatenate(overlaps))) if overlaps else 1.0


def nearest(plain: Instances, other: Instances) -> NDArray[np.float32]:
    """For each instance of the first its greatest IoU with one of the second; 0 where there is none."""
    if not len(other):
        return np.zeros(len(plain), np.float32)
    return np.asarray(mask_iou(plain.masks(), other.masks()).max(1), np.float32)


def group_of(name: str) -> str:
    """The group of a node: its name up to the first number, of two parts at least where it has them."""
    parts = name.split(".")
    first = next((i for i, part in enumerate(parts) if part.isdigit()), 2)
    return ".".join(parts[: max(min(first, 3), 2)])


def find_groups(weights: Weights, key: Callable[[str], str]) -> dict[str, Group]:
    """The convolutions that int8 computes in integers, by the group that `key` gives of their name."""
    graph = int8_graph(weights, Precision("int8", weights.ranges, weights.float_nodes))
    convolutions = [node for node in graph.nodes if node.kind == "conv"]
    whole = sum(map(_multiply_adds, convolutions))
    members: dict[str, list[Node]] = {}
    for node in convolutions:
        if _seen(node).dtype == "int8":
            members.setdefault(key(node.name), []).append(node)
    return {name: _with_readers(members[name], convolutions, whole) for name in members}


def _with_readers(members: Sequence[Node], convolutions: Sequence[Node], whole: int) -> Group:
    """A group, and what only turns its results into floats."""
    readers = [
        node
        for node in convolutions
        if node not in members and node.dtype != "int8" and _viewed(node.inputs[0]) in members
    ]
    nodes = (*members, *readers)
    return Group(tuple(node.name for node in nodes), sum(map(_multiply_adds, nodes)) / max(whole, 1))


def _seen(conv: Node) -> Node:
    return _viewed(conv.inputs[0])


def _viewed(node: Node) -> Node:
    while node.kind in VIEWS:
        node = node.inputs[0]
    return node


def _multiply_adds(conv: Node) -> int:
    layer: ConvLayer = conv.attributes["weights"]
    return conv.height * conv.width * layer.outputs * (layer.inputs // layer.groups) * layer.kernel_size**2


def choose_floats(
    weights: Weights,
    frames: Sequence[NDArray[np.uint8]],
    *,
    least_gain: float = LEAST_GAIN,
    most_share: float = MOST_SHARE,
) -> tuple[list[str], list[str]]:
    """The nodes that should stay in floats.

    Args:
        weights: With ranges; its ``float_nodes`` stay besides.
        frames: What is compared, uint8 (H, W, 3).
        least_gain: What a group must add to the agreement, which is 1 at most.
        most_share: The most multiply-adds in floats, as a part of all.

    Returns:
        Names of nodes, and lines that say what was found.
    """
    agreement = Agreement(weights, frames)
    before = agreement.of(weights)
    lines = [f"agreement with float32 on {agreement.objects} objects: {before:.4f}"]
    if not agreement.objects:
        return [], lines
    kept: list[str] = []
    share = 0.0

    def measure(groups: Mapping[str, Group]) -> dict[str, float]:
        nodes = {name: [*weights.float_nodes, *kept, *group.nodes] for name, group in groups.items()}
        return {
            name: agreement.of(Weights(weights.tensors, {**weights.metadata, "float_nodes": nodes[name]}))
            for name in groups
        }

    rooms = measure(find_groups(weights, lambda name: name.split(".")[0]))
    lines += _table(rooms, before)
    telling = {room for room, value in rooms.items() if value >= before + least_gain}
    groups = {
        name: group
        for name, group in find_groups(weights, group_of).items()
        if name.split(".")[0] in telling and group.share <= most_share
    }
    while groups:
        found = measure(groups)
        lines += _table(found, before)
        best = max(found, key=lambda name: found[name])
        if found[best] < before + least_gain:
            break
        lines.append(f"{best} stays in floats: {found[best] - before:+.4f}")
        kept += groups[best].nodes
        share += groups[best].share
        before = found[best]
        again = sorted(set(found) - {best}, key=lambda name: -found[name])[:_TRIED_AGAIN]
        groups = {name: groups[name] for name in again if share + groups[name].share <= most_share}
    return kept, lines


def _table(found: Mapping[str, float], before: float) -> Iterator[str]:
    width = max(map(len, found), default=0)
    for name in sorted(found, key=lambda name: -found[name]):
        yield f"  {name:<{width}} in floats: {found[name]:.4f} ({found[name] - before:+.4f})"
