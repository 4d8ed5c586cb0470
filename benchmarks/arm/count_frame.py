"""Instructions of a whole frame on aarch64: scaling, network, scores, masks and run lengths.

    python -m benchmarks.arm.count_frame FOLDER FRAME.npy --cpus cortex-a72 cortex-a76

FOLDER is what .ci/aarch64 filled with the target's Python and our wheel, FRAME.npy a picture, uint8
(H, W, 3), as what is in it decides how much there is to do after the network. One thread segments it
under qemu-user with the default weights; the second frame is counted. docs/boards.md makes times of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.arm.emulation import HERE, ROOT, emulated, environment, read_counts
from benchmarks.support.command import make_parser, run

_CODE = """
import sys, numpy
from benchmarks.arm.run_network import mark
from mobileinst import Segmenter
segmenter = Segmenter(size=int(sys.argv[2]) or None, threads=1, precision=sys.argv[3])
frame = numpy.load(sys.argv[1])
segmenter.segment(frame)
mark()
found = segmenter.segment(frame)
mark()
print(len(found))
"""


def count(folder: Path, cpu: str, frame: Path, size: int, precision: str) -> dict[str, int]:
    """Counts of a frame."""
    counts = folder / "counts.txt"
    counts.unlink(missing_ok=True)
    command = [*emulated(folder, cpu, counts), "-c", _CODE, str(frame), str(size), precision]
    subprocess.run(command, cwd=folder, env=environment(folder / "site", ROOT), check=True)
    return read_counts(counts)[-1]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("frame", type=Path, help="a picture as .npy")
    parser.add_argument("--cpus", nargs="+", default=["cortex-a76"])
    parser.add_argument("--size", type=int, default=0, help="length of the shorter side; 0: the weights' own")
    parser.add_argument("--precision", nargs="+", default=["fp32"], dest="precisions")
    options = parser.parse_args()
    folder = options.folder.resolve()
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True, stdout=sys.stderr)
    for cpu in options.cpus:
        for precision in options.precisions:
            counts = count(folder, cpu, options.frame.resolve(), options.size, precision)
            found = (f"{counts[key] / 1e6:.0f} M {key.replace('_', '-')}" for key in counts)
            print(f"{cpu}, {precision}: {', '.join(found)}")


if __name__ == "__main__":
    run(main)
