"""Write the shape file of a configuration: one line for each kind of layer that the network has.

    python benchmarks/shapes.py topformer_b --width 128 --size 640

A line reads: kernel, extents, how often the layer occurs, and the name of one that has the shape:

    gemm        m k n                             1x1 convolutions and linear layers; m is pixels or tokens
    conv3x3     height width in out               dense, stride 1
    conv_direct height width in out kernel stride other dense convolutions; height and width are the input's
    depthwise   height width channels kernel stride
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import run

from mobileinst.network import ModelConfig, model
from mobileinst.network.counter import CounterOps, Shape

FOLDER = Path(__file__).resolve().parent / "shapes"
EXTENTS = {"gemm": 3, "conv3x3": 4, "conv_direct": 6, "depthwise": 5}


@dataclass(frozen=True)
class LayerShape:
    """One line of a shape file."""

    kernel: str
    extents: tuple[int, ...]
    count: int
    name: str

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct computation, for one occurrence."""
        e = self.extents
        if self.kernel == "gemm":
            return e[0] * e[1] * e[2]
        if self.kernel == "conv3x3":
            return 9 * e[0] * e[1] * e[2] * e[3]
        outputs = ((e[0] - 1) // e[-1] + 1) * ((e[1] - 1) // e[-1] + 1)
        return outputs * e[-2] ** 2 * (e[2] if self.kernel == "depthwise" else e[2] * e[3])


class ShapeOps(CounterOps):
    """Counts as its base does and notes the extents that a kernel sees."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[int, ...], str]] = []

    def conv(self, x: Shape, name: str, out_channels: int, **options: Any) -> Shape:
        kernel, stride = options.get("kernel", 1), options.get("stride", 1)
        height, width = self.size(x)
        if options.get("groups", 1) > 1:
            self.found.append(("depthwise", (height, width, x.channels, kernel, stride), name))
        elif kernel == 1 and stride == 1:
            self.found.append(("gemm", (height * width, x.channels, out_channels), name))
        elif kernel == 3 and stride == 1:
            self.found.append(("conv3x3", (height, width, x.channels, out_channels), name))
        else:
            extents = (height, width, x.channels, out_channels, kernel, stride)
            self.found.append(("conv_direct", extents, name))
        return super().conv(x, name, out_channels, **options)

    def linear(self, x: Shape, name: str, out_features: int, **options: Any) -> Shape:
        self.found.append(("gemm", (x.rows, x.channels, out_features), name))
        return super().linear(x, name, out_features, **options)


def layer_shapes(config: ModelConfig, height: int, width: int) -> list[LayerShape]:
    """Distinct shapes of the whole model in the order in which they first occur."""
    ops = ShapeOps()
    found = model.features(ops, Shape(3, (height, width), height * width), config)
    model.instances(ops, found, config)
    counts: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for kernel, extents, name in ops.found:
        counts.setdefault((kernel, extents), []).append(name)
    return [LayerShape(kernel, extents, len(names), names[0]) for (kernel, extents), names in counts.items()]


def format_shapes(shapes: Iterable[LayerShape]) -> str:
    """The text of a shape file."""
    lines = [f"{s.kernel} {' '.join(map(str, s.extents))} x{s.count} {s.name}" for s in shapes]
    return "\n".join(lines) + "\n"


def read_shapes(path: Path) -> list[LayerShape]:
    """Read a shape file; empty lines and those that begin with # are skipped.

    Raises:
        ValueError: naming the line that isn't one.
    """
    shapes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        extents = EXTENTS.get(words[0], -1)
        try:
            if len(words) != extents + 3 or not words[-2].startswith("x"):
                raise ValueError
            values = tuple(int(word) for word in words[1 : 1 + extents])
            shapes.append(LayerShape(words[0], values, int(words[-2][1:]), words[-1]))
        except ValueError:
            raise ValueError(
                f"{path}:{number}: expected '<{'|'.join(EXTENTS)}> extents... x<count> <name>', got {line!r}"
            ) from None
    return shapes


def read_size(text: str) -> tuple[int, int]:
    """Height and width of "640" or "192x352"; ValueError for anything else."""
    sides = [int(side) for side in text.split("x")]
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"expected a side or HEIGHTxWIDTH, got {text!r}")
    return sides[0], sides[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", help="backbone, e.g. topformer_b")
    parser.add_argument("--width", type=int, default=128, help="width of the mask decoder")
    parser.add_argument(
        "--size", type=read_size, default=(640, 640), help="side of the input, or HEIGHTxWIDTH"
    )
    parser.add_argument("--output", type=Path, help="file instead of benchmarks/shapes/<config>-...")
    options = parser.parse_args()
    config = ModelConfig(backbone=options.config, width=options.width)
    height, width = options.size
    size = f"{height}" if height == width else f"{height}x{width}"
    path = options.output or FOLDER / f"{options.config}-w{options.width}-{size}.txt"
    path.write_text(format_shapes(layer_shapes(config, height, width)), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    run(main)
