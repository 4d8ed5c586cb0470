"""Instructions of a whole frame on aarch64: scaling, network, scores, masks and run lengths.

    python -m benchmarks.arm.count_frame FOLDER FRAME.npy --cpus cortex-a72 cortex-a76

FOLDER is what .ci/aarch64 filled with the target's Python and our wheel, FRAME.npy a picture, uint8
(H, W, 3), as what is in it decides how much there is to do after the network. One thread segments it once and
three times under qemu-user with the default weights; half the difference is one frame's. docs/boards.md makes
times of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.arm.count import ENVIRONMENT, HERE
from benchmarks.arm.fake_cpu import describe
from benchmarks.support.command import make_parser, run

_CODE = """
import sys, numpy
from mobileinst import Segmenter
segmenter = Segmenter(size=int(sys.argv[3]) or None, threads=1)
frame = numpy.load(sys.argv[1])
for _ in range(int(sys.argv[2])):
    found = segmenter.segment(frame)
print(len(found))
"""


def count(folder: Path, cpu: str, frame: Path, runs: int, size: int) -> dict[str, int]:
    """Counts of a whole process that segments the frame so many times."""
    root, counts = folder / "root", folder / "counts.txt"
    counts.unlink(missing_ok=True)
    describe(root, [cpu] * 4)
    command = ["qemu-aarch64", "-cpu", cpu, "-L", str(root)]
    command += [
        "-plugin",
        f"{folder / 'count_instructions.so'},out={counts}",
        str(root / "usr/bin/python3.11"),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= ENVIRONMENT | {"PYTHONPATH": str(folder / "site")}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    pairs = (line.split() for line in counts.read_text(encoding="utf-8").splitlines())
    return {key: int(value) for key, value in pairs}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("frame", type=Path, help="a picture as .npy")
    parser.add_argument("--cpus", nargs="+", default=["cortex-a76"])
    parser.add_argument("--size", type=int, default=0, help="length of the shorter side; 0: the weights' own")
    options = parser.parse_args()
    folder = options.folder.resolve()
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True, stdout=sys.stderr)
    for cpu in options.cpus:
        once, thrice = (count(folder, cpu, options.frame.resolve(), runs, options.size) for runs in (1, 3))
        instructions, products = (
            (thrice[key] - once[key]) / 2e6 for key in ("instructions", "multiply_adds")
        )
        print(f"{cpu}: {instructions:.0f} M instructions, {products:.0f} M vector multiply-adds")


if __name__ == "__main__":
    run(main)
