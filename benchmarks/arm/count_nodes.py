"""Instructions of each node of a network on aarch64, the costliest first.

    python -m benchmarks.arm.count_nodes FOLDER WEIGHTS --cpu cortex-a76 --precision int8

FOLDER is what .ci/aarch64 filled with the target's Python and our wheel. One thread runs the network under
qemu-user; the second run is counted, from what the plan reads of the clock between its nodes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.arm.emulation import HERE, ROOT, emulated, environment
from benchmarks.support.command import make_parser, run
from benchmarks.support.results import markdown_table

_CODE = """
import json, sys, numpy
from benchmarks.arm.run_network import mark
from mobileinst.engine import NativeModel
from mobileinst.weights import load_weights
weights, size, precision, target = sys.argv[1:]
sides = int(size), int(size)
session = NativeModel(load_weights(weights), threads=1, precision=precision).session(*sides)
session.load_input(numpy.random.default_rng(7).standard_normal((3, *sides), dtype=numpy.float32))
nodes = session.profile(1)
mark()
session.run_features()
mark()
session.run_instances()
mark()
open(target, "w").write(json.dumps(nodes))
"""


def count_nodes(folder: Path, cpu: str, weights: Path, size: int, precision: str) -> list[dict[str, Any]]:
    """The nodes as Session.profile() lists them, with their ``instructions`` and ``multiply_adds``.

    Raises:
        RuntimeError: if the clock was read more often than between all nodes.
    """
    counts, target = folder / "node_counts.txt", folder / "nodes.json"
    command = [*emulated(folder, cpu, counts), "-c", _CODE, str(weights), str(size), precision, str(target)]
    subprocess.run(command, cwd=folder, env=environment(folder / "site", ROOT), check=True)
    nodes: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
    found = _sections(counts)
    if not 0 < len(found) <= len(nodes):
        raise RuntimeError(f"{counts}: expected counts of {len(nodes)} nodes, found {len(found)}")
    # What the mask features become, last, was not asked for.
    return [node | counted for node, counted in zip(nodes, found, strict=False)]


def _sections(path: Path) -> list[dict[str, int]]:
    """Differences of neighbouring readings of the clock, within what lies between marks."""
    sections: list[list[tuple[int, int]]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *numbers = line.split()
        if word == "clock":
            sections[-1].append((int(numbers[0]), int(numbers[1])))
        else:
            sections.append([])
    return [
        {"instructions": after[0] - before[0], "multiply_adds": after[1] - before[1]}
        for readings in sections[1:-2]  # not before the first mark, not between the last one and the end
        for before, after in pairwise(readings)
    ]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--cpu", default="cortex-a76")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--first", type=int, default=1000, help="list so many")
    options = parser.parse_args()
    folder = options.folder.resolve()
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True, stdout=sys.stderr)
    nodes = count_nodes(folder, options.cpu, options.weights.resolve(), options.size, options.precision)
    nodes.sort(key=lambda node: -node["instructions"])
    total = {"name": f"all {len(nodes)}", "op": "", "dtype": "", "shape": ()}
    total |= {key: sum(node[key] for node in nodes) for key in ("instructions", "multiply_adds", "macs")}
    rows = [
        [
            node["name"],
            node["op"],
            node["dtype"],
            "x".join(map(str, node["shape"])),
            f"{node['instructions'] / 1e6:.2f}",
            f"{node['multiply_adds'] / 1e6:.2f}",
            f"{node['macs'] / node['instructions']:.1f}",
        ]
        for node in [total, *nodes[: options.first]]
    ]
    header = ["node", "op", "type", "shape", "M instructions", "M vector multiply-adds", "MAC/instruction"]
    print(markdown_table(header, rows), end="")


if __name__ == "__main__":
    run(main)
