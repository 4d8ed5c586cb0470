"""How near a whole network comes to what the core's multiply-adds allow.

    python -m benchmarks.roofline topformer_b --width 128 256 --output roofline.json --table roofline.md
    python -m benchmarks.roofline --precision int8 --annotations A.json --images D
    python -m benchmarks.roofline default --size 384 --precision fp32 int8

A backbone gets random weights, which take ranges for int8 from the pictures; weights that ship with the
package are taken by their name.

One thread, from image to the masks of all queries. The limit is the multiply-adds of that at the rate that
independent multiply-adds on registers reach, measured between the rounds. 3x3 convolutions at stride 1 count
a quarter, as in Winograd's F(4x4, 3x3) without its transforms: that limit stays the same whatever the kernels
do. Beside it stands the limit with the products of the tiles that they take, 8x8 outputs on large maps.

In int8 and fp16 nodes count at the rate of the type that they compute in, 3x3 convolutions of bytes at half
of theirs, as Winograd's F(4x4) makes integers of 16 bits of them.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.kernels import timing
from benchmarks.support.network import write_ranges
from benchmarks.support.pictures import Pictures, add_options, chosen_pictures
from benchmarks.support.results import make_result, markdown_table, origin_line, write_result
from mobileinst import Segmenter, _native
from mobileinst.engine import offered_precisions
from mobileinst.weights import available_weights, find_weights
from weights_tools import create

#: Share of a 3x3's multiply-adds that F(4x4, 3x3) leaves: 36 products for 16 outputs of 9 each.
WINOGRAD = 36 / (16 * 9)
_PEAKS = 5


def measure(weights: Path, size: int, rounds: int, precision: str = "fp32") -> dict[str, Any]:
    """Milliseconds of the whole network, the limit, and where the time goes by kind of node."""
    segmenter = Segmenter(weights, threads=1, size=(size, size), precision=precision)
    session = segmenter._model.session(size, size)
    session.load_input(np.random.default_rng(0).standard_normal((3, size, size), dtype=np.float32))
    times: list[float] = []
    peaks: dict[str, float] = {}
    for number in range(rounds):
        if number % max(rounds // _PEAKS, 1) == 0:
            for dtype in dict.fromkeys(["float32", segmenter._model.precision.dtype]):
                peaks[dtype] = max(timing.peak_gflops(dtype=dtype), peaks.get(dtype, 0.0))
        begin = time.perf_counter()
        session.run_features()
        masks = session.mask_logits(session.run_instances()[2])
        times.append(1000 * (time.perf_counter() - begin))
    nodes = session.profile(rounds)
    # the product of kernels and mask map is of floats
    needed = _milliseconds(segmenter.config.width * masks.size, peaks["float32"])
    needed += sum(_limit(node, peaks) for node in nodes)
    kinds: dict[str, list[float]] = {}
    for node in nodes:
        total = kinds.setdefault(node["op"], [0.0, 0.0])
        total[0] += node["milliseconds"]
        total[1] += _limit(node, peaks)
    saved = 0.0
    if floats := [node for node in nodes if node["op"] == "conv3x3" and node["dtype"] == "float32"]:
        tiles = _milliseconds(winograd_products(floats), peaks["float32"])
        saved = sum(_limit(node, peaks) for node in floats) - tiles
    return {
        "peak_gflops": peaks[segmenter._model.precision.dtype],
        "limit_ms": needed,
        "limit_of_tiles_ms": needed - saved,
        "median_ms": float(np.median(times)),
        "best_ms": min(times),
        "nodes_ms": sum(total[0] for total in kinds.values()),
        "kinds": {op: {"ms": ms, "limit_ms": limit} for op, (ms, limit) in kinds.items()},
    }


def winograd_products(nodes: list[dict[str, Any]]) -> float:
    """Products of 3x3 convolutions in float32, as Session.profile() lists them, with their maps' tiles."""
    products = 0.0
    for node in nodes:
        height, width, outputs = node["shape"]
        inputs = node["macs"] // (9 * height * width * outputs)
        tile = _native.winograd_tile(height, width)
        tiles = -(-height // tile) * -(-width // tile)
        products += float(tiles * (tile + 2) ** 2 * inputs * outputs)
    return products


def _limit(node: dict[str, Any], peaks: dict[str, float]) -> float:
    """Least milliseconds of a node, at the peak of the type that it computes in."""
    share = 1.0
    if node["op"] == "conv3x3":
        share = WINOGRAD * (2.0 if node["dtype"] == "int8" else 1.0)
    return _milliseconds(share * node["macs"], peaks[node["dtype"]])


def _milliseconds(macs: float, peak: float) -> float:
    return macs / peak / 5e5


def format_table(document: dict[str, Any]) -> str:
    """The limits and their shares of each network, then its kinds of nodes by what they lose."""
    text = origin_line(document) + "\n\n"
    heads = ["network", "peak GFLOP/s or GOP/s", "median ms", "best ms"]
    for limit in ("F(4x4)", "tiles as taken"):
        heads += [f"limit ms, {limit}", "share of median", "of best"]
    rows = []
    for name, x in document["networks"].items():
        cells = [name, *(f"{x[key]:.1f}" for key in ("peak_gflops", "median_ms", "best_ms"))]
        for limit in (x["limit_ms"], x["limit_of_tiles_ms"]):
            cells += [f"{limit:.1f}", f"{limit / x['median_ms']:.0%}", f"{limit / x['best_ms']:.0%}"]
        rows.append(cells)
    text += markdown_table(heads, rows)
    for name, x in document["networks"].items():
        lost = {kind: k["ms"] - k["limit_ms"] for kind, k in x["kinds"].items()}
        kinds = sorted(lost, key=lambda kind: -lost[kind])
        cells = [
            [kind, *(f"{x['kinds'][kind][k]:.2f}" for k in ("ms", "limit_ms")), f"{lost[kind]:.2f}"]
            for kind in kinds
        ]
        text += f"\n{name}, nodes {x['nodes_ms']:.1f} ms, limit with F(4x4)\n\n"
        text += markdown_table(["kind of node", "ms", "limit ms", "lost ms"], cells)
    return text


def _random_weights(backbone: str, width: int, folder: Path, pictures: Pictures | None) -> Path:
    """A file of random weights, with ranges from the pictures, if any."""
    weights = folder / f"random-{width}.safetensors"
    if create.main([backbone, str(weights), "--width", str(width)]):
        sys.exit(1)  # it has said why
    if pictures is None:
        return weights
    ranged = folder / f"ranges-{width}.safetensors"
    write_ranges(weights, ranged, pictures)
    return ranged


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("network", nargs="?", default="topformer_b", help="a backbone or shipped weights")
    parser.add_argument("--width", type=int, nargs="+", default=[128], help="of a backbone's mask decoder")
    parser.add_argument("--size", type=positive, default=640)
    parser.add_argument("--rounds", type=positive, default=25)
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=offered_precisions())
    add_options(parser)
    options = parser.parse_args()
    check_outputs(options)
    shipped = options.network in available_weights()
    pictures = chosen_pictures(options, needed="int8" in options.precision and not shipped)
    networks = {}
    with tempfile.TemporaryDirectory() as folder:
        if shipped:
            chosen = {options.network: find_weights(options.network)}
        else:
            chosen = {
                f"{options.network} w{width}": _random_weights(options.network, width, Path(folder), pictures)
                for width in options.width
            }
        for (name, weights), precision in itertools.product(chosen.items(), options.precision):
            label = f"{name} {options.size}x{options.size}"
            label += "" if precision == "fp32" else f" {precision}"
            networks[label] = measure(weights, options.size, options.rounds, precision)
    document = make_result("roofline", networks=networks)
    table = format_table(document)
    write_result(document, table, options)
    print(table, end="")


if __name__ == "__main__":
    run(main)
