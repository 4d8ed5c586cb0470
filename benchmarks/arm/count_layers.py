"""Instructions of every layer shape of a network on aarch64: our kernels of int8 and fp16, XNNPACK's of int8.

    python -m benchmarks.arm.count_layers FOLDER topformer_b-w128-320 --cpu cortex-a76

FOLDER is what .ci/aarch64 filled with the target's Python and our wheel, which must have XNNPACK and
`mobileinst._testing`. Layers and contestants are those of benchmarks.layers, each with a ReLU. The clock is
read before and behind a run; instructions are counted, under qemu-user, from one to the other.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.arm.emulation import HERE, ROOT, emulated, environment
from benchmarks.shapes import LayerShape, network_shapes
from benchmarks.support.command import make_parser, run
from benchmarks.support.results import markdown_table

LABELS = ("int8", "fp16", "xnnpack int8")
#: Layers with fewer multiply-adds are left out.
LEAST_MACS = 2_000_000

_CODE = """
import sys
from benchmarks.arm.run_network import mark
from benchmarks.layers import make_operands, make_runner
from benchmarks.arm.count_layers import LABELS, counted_shapes
from mobileinst import _native
tier = _native.supported_tiers()[-1]
for shape in counted_shapes(sys.argv[1]):
    operands = make_operands(shape)
    for label in LABELS:
        name = label if label.startswith("xnnpack") else f"{tier} {label}"
        runner = make_runner(name, shape, operands, (0.02, -128))
        mark()
        if runner is not None:
            runner(1)
        mark()
"""


def counted_shapes(network: str) -> list[LayerShape]:
    """The layers that count."""
    return [shape for shape in network_shapes(network) if shape.macs >= LEAST_MACS]


def read_counts(text: str, shapes: list[LayerShape]) -> list[dict[str, int]]:
    """Instructions of each shape by contestant, from what the plugin wrote; by those that have a kernel.

    Raises:
        RuntimeError: if the clock was read at other times than before and behind a layer.
    """
    sections: list[list[int]] = []
    for line in text.splitlines():
        word, instructions, _ = line.split()
        if word == "clock" and sections:
            sections[-1].append(int(instructions))
        elif word == "mark":
            sections.append([])
    runs = sections[::2]
    if len(runs) != len(shapes) * len(LABELS) or any(len(clocks) not in (0, 2) for clocks in runs):
        raise RuntimeError(f"expected counts of {len(shapes)} layers, found others")
    found: list[dict[str, int]] = []
    for i in range(len(shapes)):
        clocks = zip(LABELS, runs[i * len(LABELS) :], strict=False)
        found.append({label: readings[1] - readings[0] for label, readings in clocks if readings})
    return found


def format_table(shapes: list[LayerShape], counts: list[dict[str, int]]) -> str:
    """Millions of each layer, and how many times our fewest XNNPACK needs; then of all layers together."""
    rows: list[list[Any]] = []
    ours, theirs, fewest = 0, 0, 0
    for shape, found in zip(shapes, counts, strict=True):
        own = min(found[label] for label in LABELS[:2] if label in found)
        other = found[LABELS[2]]
        ours, theirs = ours + shape.count * own, theirs + shape.count * other
        fewest += shape.count * min(own, other)
        cells = [f"{found[label] / 1e6:.2f}" if label in found else "-" for label in LABELS]
        rows.append([f"{shape.kernel} {' '.join(map(str, shape.extents))}", shape.count, *cells])
        rows[-1].append(f"{other / own:.2f}")
    text = markdown_table(["shape", "count", *(f"{label} M" for label in LABELS), "XNNPACK / ours"], rows)
    text += (
        f"\nAll layers, M: ours, of int8 and fp16 the fewer, {ours / 1e6:.1f}; XNNPACK {theirs / 1e6:.1f}; "
    )
    return text + f"each by the fewest {fewest / 1e6:.1f}\n"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("network", help="as in topformer_b-w128-320")
    parser.add_argument("--cpu", default="cortex-a76")
    options = parser.parse_args()
    folder = options.folder.resolve()
    shapes = counted_shapes(options.network)
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True, stdout=sys.stderr)
    counts = folder / "layer_counts.txt"
    command = [*emulated(folder, options.cpu, counts), "-c", _CODE, options.network]
    subprocess.run(command, cwd=folder, env=environment(folder / "site", ROOT), check=True)
    found = read_counts(counts.read_text(encoding="utf-8"), shapes)
    print(f"{options.network} on {options.cpu}\n\n{format_table(shapes, found)}", end="")


if __name__ == "__main__":
    run(main)
