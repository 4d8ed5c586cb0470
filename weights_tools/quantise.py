"""Ranges for 8-bit integers, added to a weights file, with what they cost.

    python -m weights_tools.quantise W.safetensors OUT.safetensors --annotations A.json --images D
    python -m weights_tools.quantise ... --test-annotations A.json --test-images D
    python -m weights_tools.quantise ... --least-gain 0.01 --most-floats 0.05

The network runs in float32 on some of the images, and each node's range is the one whose integers have
the least squared error, after the activation where there is one. Nodes whose error is too large a part of
their values get none and stay in float32, and so do maps finer than 1/8: what is lost there passes through
all layers (measured: docs/engine.md). Groups of nodes whose rounding moves what is found most stay in floats,
too (weights_tools/sensitivity.py). What rounding a layer's weights adds to its outputs on average is
kept, too, since int8 takes it away. AP in both precisions is measured on the test images, else on the first
of the images that the ranges are from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst.engine.calibration import Observers, int8_inputs
from mobileinst.engine.parameters import (
    ROUNDING,
    ConvLayer,
    Parameters,
    normalised,
    rounding_shift,
)
from mobileinst.engine.precision import TABLE_BITS, Precision, offered_precisions, quantisation_of
from mobileinst.io.files import check_outputs, check_writable
from mobileinst.segmenter import Segmenter, network_size
from mobileinst.video import read_image
from mobileinst.weights import Range, Weights, load_weights, read_safetensors, save_weights
from weights_tools.sensitivity import LEAST_GAIN, MOST_SHARE, choose_floats

Array = NDArray[np.float32]

#: Images that ranges are taken from, and that AP is measured on where no test images are given.
DEFAULT_COUNT, MEASURED = 64, 150
#: Maps of a smaller stride stay in float32.
FINEST = 8
#: Values that are kept of a node and an image.
_VALUES = 1024
#: Shares of the largest and the least value that ranges may end at. Smaller ones round what is usual finer,
#: but what is clipped moves scores: least error of values is not least error of what is found.
_HIGH_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
_LOW_SHARES = (1.0, 0.8, 0.6, 0.4)
#: Where ranges of SiLU's argument may begin: below, the result is nearly 0.
_SILU_LOWS = (-1.5, -2.0, -2.5, -3.0, -3.5, -4.0, -5.0, -6.0, -8.0)
#: A node's error as a part of its values (both root mean squares) from which on it stays in float32.
_WORST = 0.1


@dataclass
class Values:
    """What is known of a node: its extremes, and some of its values."""

    low: float = 0.0
    high: float = 0.0
    some: list[Array] = field(default_factory=list)
    means: list[Array] = field(default_factory=list)  # of the channels in each image

    def add(self, values: Array, random: np.random.Generator) -> None:
        """Those of one image."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        flat = values.reshape(-1)
        self.means.append(values.reshape(-1, values.shape[-1]).mean(0, dtype=np.float64).astype(np.float32))
        self.some.append(flat if flat.size <= _VALUES else flat[random.integers(0, flat.size, _VALUES)])


@dataclass(frozen=True)
class Choice:
    """A node's range and its relative error, by root mean squares."""

    range: Range
    error: float


def rounded(values: Array, limits: Range, bits: int = 8) -> Array:
    """Values as the integers of a range have them."""
    scale, zero = quantisation_of(limits, bits)
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return ((np.clip(np.rint(values / scale + zero), least, most) - zero) * scale).astype(np.float32)


def activated(values: Array, activation: str | None) -> Array:
    """Of "silu", "hard_sigmoid" or None."""
    if activation == "silu":
        return np.asarray(values / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
    if activation == "hard_sigmoid":
        return np.asarray(np.clip(values + 3, 0, 6) / 6, np.float32)
    return values


def choose_range(values: Values, activation: str | None = None) -> Choice:
    """The range of least squared error, of what the activation makes of the values."""
    some = np.concatenate(values.some)
    exact = activated(some, activation)
    lows = [values.low * share for share in _LOW_SHARES] if values.low < 0 else [0.0]
    if activation == "silu":
        lows = [low for low in _SILU_LOWS if low > values.low] or lows
    bits = 8 if activation is None else TABLE_BITS
    best, least = (values.low, values.high), np.inf
    for high in [values.high * share for share in _HIGH_SHARES] if values.high > 0 else [0.0]:
        for low in lows:
            error = float(np.mean((activated(rounded(some, (low, high), bits), activation) - exact) ** 2))
            if error < least:
                best, least = (low, high), error
    power = float(np.mean(exact.astype(np.float64) ** 2))
    return Choice(best, float(np.sqrt(least / power)) if power > 0 else 0.0)


@dataclass
class Observed:
    """Values of all nodes, the activations behind sums, and the strides of maps."""

    values: dict[str, Values] = field(default_factory=dict)
    activations: dict[str, str] = field(default_factory=dict)
    strides: dict[str, int] = field(default_factory=dict)
    convolutions: dict[str, tuple[ConvLayer, str, int]] = field(default_factory=dict)


def observe(weights: Weights, frames: Iterable[NDArray[np.uint8]]) -> Observed:
    """What the network's nodes hold on some images, uint8 (H, W, 3)."""
    observers = Observers(weights)
    found = Observed()
    random = np.random.default_rng(0)
    for frame in frames:
        size = network_size((frame.shape[0], frame.shape[1]), weights.size)
        observer = observers.of(size)
        observer.run(np.ascontiguousarray(frame), bgr=weights.color == "bgr")
        found.activations |= observer.activations
        found.convolutions |= observer.convolutions
        for name, stride in observer.strides.items():
            found.strides.setdefault(name, stride)
        for name in observer.names():
            found.values.setdefault(name, Values()).add(observer.read(name), random)
    return found


def choose_ranges(
    found: Observed, keep: Sequence[str] = (), finest: int = 1
) -> tuple[dict[str, Choice], dict[str, str]]:
    """Each node's range, and those that stay in float32 with the reason."""
    choices: dict[str, Choice] = {}
    floats: dict[str, str] = {}
    kept = set(kept_nodes(found, keep))
    for name, values in found.values.items():
        if found.strides.get(name, finest) < finest:
            floats[name] = f"finer than 1/{finest}"
            continue
        choice = choose_range(values, found.activations.get(name))
        if _node_of(name) in kept:
            floats[name] = "asked for"
        elif choice.error > _WORST:
            floats[name] = f"error {100 * choice.error:.1f} %"
        else:
            choices[name] = choice
    return choices, floats


def kept_nodes(found: Observed, keep: Sequence[str]) -> list[str]:
    """The nodes that groups are made of, by name."""
    nodes = dict.fromkeys(_node_of(name) for name in found.values)
    return [node for node in nodes if any(node == kept or node.startswith(f"{kept}.") for kept in keep)]


def _node_of(name: str) -> str:
    """The node whose sums or result an observed name stands for."""
    return name.removesuffix(":sums").removesuffix(":activated")


def with_ranges(
    metadata: Mapping[str, Any], choices: Mapping[str, Choice], keep: Sequence[str] = ()
) -> dict[str, Any]:
    """Metadata of a weights file that also holds these ranges, and names the nodes that stay in float32."""
    ranges = {
        name: [round(limit, 6) for limit in choice.range]
        for name, choice in choices.items()
        if not name.endswith(":activated")
    }
    others = {name: value for name, value in metadata.items() if name != "float_nodes"}
    return {**others, "ranges": ranges, **({"float_nodes": list(keep)} if keep else {})}


def rounding_shifts(weights: Weights, found: Observed) -> dict[str, Array]:
    """Tensors: what rounding each layer's weights adds to its outputs on average, which int8 takes away.

    Args:
        weights: With the ranges and the nodes that stay in float32.
        found: What its nodes hold.
    """
    parameters = Parameters(weights.tensors, "ref")
    inputs = int8_inputs(weights, Precision("int8", weights.ranges, weights.float_nodes))
    shifts: dict[str, Array] = {}
    for layer, source, first in found.convolutions.values():
        if source not in found.values:  # what never changes
            continue
        means = np.mean(found.values[source].means, 0)[first : first + layer.inputs]
        weight, bias = parameters.folded(layer)
        if layer.name in inputs:
            mean, std = inputs[layer.name]
            weight, _ = normalised(weight, bias, inputs[layer.name])
            means = means * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
        shifts[layer.name + ROUNDING] = rounding_shift(weight, means)
    return shifts


def report(choices: Mapping[str, Choice], floats: Mapping[str, str]) -> Iterable[str]:
    """Lines: each node's range and error, then what stays in float32."""
    width = max(map(len, [*choices, *floats]), default=0)
    yield f"{'node':<{width}}  {'least':>9}  {'largest':>9}  error"
    for name, choice in sorted(choices.items(), key=lambda item: -item[1].error):
        low, high = choice.range
        yield f"{name:<{width}}  {low:>9.3f}  {high:>9.3f}  {100 * choice.error:.2f} %"
    for name, reason in floats.items():
        yield f"{name:<{width}}  stays in float32: {reason}"


def measure(weights: Weights, annotations: Any, images: Path, precision: str) -> dict[str, float]:
    """AP, AP50 and AP75 of the weights in a precision, through the engine."""
    from mobileinst.evaluation.coco import evaluate
    from mobileinst.evaluation.runner import run_coco

    run = run_coco(Segmenter(weights, precision=precision), annotations, images)
    assert run.mapping is not None
    found = evaluate(annotations, run.results, classes=list(run.mapping.names))
    return {name: found[name] for name in ("AP", "AP50", "AP75")}


def quantise(
    source: Path,
    annotations: Path,
    images: Path,
    *,
    count: int = DEFAULT_COUNT,
    keep: Sequence[str] = (),
    finest: int = FINEST,
    least_gain: float = LEAST_GAIN,
    most_floats: float = MOST_SHARE,
) -> tuple[Weights, dict[str, Any], list[str]]:
    """Ranges for a weights file.

    Args:
        source: The file; ranges that it has are replaced.
        annotations: COCO's JSON, which names the images.
        images: Their folder.
        count: How many of them ranges are from.
        keep: Nodes or groups that stay in floats.
        finest: The least stride of maps in integers.
        least_gain: What a group of nodes in floats must add to the agreement with float32 to stay there.
            Processors without int8 look for none.
        most_floats: The most multiply-adds of such groups, as a part of all; 0 looks for none.

    Returns:
        The weights with ranges, their metadata, and lines about what was chosen.
    """
    weights = load_weights(source)
    data = json.loads(annotations.read_text(encoding="utf-8"))
    names = [image["file_name"] for image in data["images"]]
    chosen = [names[i] for i in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)]
    plain = {name: tensor for name, tensor in weights.tensors.items() if not name.endswith(ROUNDING)}
    weights = Weights(plain, weights.metadata)
    found = observe(weights, (read_image(images / name) for name in chosen))
    choices, floats = choose_ranges(found, keep, finest)
    kept = kept_nodes(found, keep)
    metadata = with_ranges(weights.metadata, choices, kept)
    tensors = plain | rounding_shifts(Weights(plain, metadata), found)
    lines = list(report(choices, floats))
    if choices and most_floats > 0 and "int8" in offered_precisions():
        nodes, found_lines = choose_floats(
            Weights(tensors, metadata),
            [read_image(images / name) for name in chosen],
            least_gain=least_gain,
            most_share=most_floats,
        )
        lines += found_lines
        metadata = with_ranges(metadata, choices, [*kept, *nodes])
        tensors = plain | rounding_shifts(Weights(plain, metadata), found)
    return Weights(tensors, metadata), metadata, lines


def _first_images(annotations: Path, count: int) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(annotations.read_text(encoding="utf-8"))
    data["images"] = data["images"][:count]
    ids = {image["id"] for image in data["images"]}
    data["annotations"] = [one for one in data["annotations"] if one["image_id"] in ids]
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 0 if the file was written."""
    parser = argparse.ArgumentParser(
        prog="python -m weights_tools.quantise", description=__doc__.split("\n")[0]
    )
    parser.add_argument("weights", type=Path, metavar="W", help="weights file")
    parser.add_argument("output", type=Path, metavar="OUT", help="the same with ranges")
    parser.add_argument("--annotations", type=Path, required=True, metavar="A", help="COCO's JSON")
    parser.add_argument("--images", type=Path, required=True, metavar="D", help="folder of its images")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="images for ranges (%(default)s)")
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="NODE", help="nodes or groups left in float32"
    )
    parser.add_argument(
        "--finest",
        type=int,
        default=FINEST,
        metavar="S",
        help="maps of a smaller stride stay in float32 (%(default)s)",
    )
    parser.add_argument(
        "--least-gain",
        type=float,
        default=LEAST_GAIN,
        metavar="G",
        help="what a group in floats must add to the agreement with float32 to stay there (%(default)s)",
    )
    parser.add_argument(
        "--most-floats",
        type=float,
        default=MOST_SHARE,
        metavar="S",
        help="most multiply-adds of such groups, of 1; 0: none is looked for (%(default)s)",
    )
    parser.add_argument("--test-annotations", type=Path, metavar="A", help="images that AP is measured on")
    parser.add_argument("--test-images", type=Path, metavar="D", help="their folder")
    parser.add_argument("--no-ap", action="store_true", help="don't measure AP")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    if (options.test_annotations is None) != (options.test_images is None):
        raise ValueError("expected both of --test-annotations and --test-images, or none")
    if not 0 <= options.most_floats <= 1:
        raise ValueError(f"--most-floats: expected 0 to 1, got {options.most_floats}")
    if options.count < 1:
        raise ValueError(f"--count: expected at least 1, got {options.count}")
    check_outputs([options.output], [options.weights, options.annotations])
    check_writable(options.output)
    weights, metadata, lines = quantise(
        options.weights,
        options.annotations,
        options.images,
        count=options.count,
        keep=options.keep,
        finest=options.finest,
        least_gain=options.least_gain,
        most_floats=options.most_floats,
    )
    print("\n".join(lines))
    tensors, _ = read_safetensors(options.weights)
    tensors |= {name: tensor for name, tensor in weights.tensors.items() if name.endswith(ROUNDING)}
    save_weights(options.output, tensors, metadata)
    print(f"{options.output}: {len(weights.ranges)} ranges")
    if options.no_ap:
        return 0
    if "int8" not in offered_precisions():
        print("AP: not measured, as the instruction set in use has no int8")
        return 0
    images = options.test_images or options.images
    data = options.test_annotations or _first_images(options.annotations, MEASURED)
    for precision in ("fp32", "int8"):
        found = measure(weights, data, images, precision)
        print(f"{precision}: " + ", ".join(f"{name} {100 * value:.1f}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
