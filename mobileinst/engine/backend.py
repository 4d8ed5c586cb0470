"""What computes the convolutions and linear layers of a plan: native kernels or XNNPACK's operators."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobileinst import _native

#: Values of the environment variable MOBILEINST_BACKEND; the first is the default.
BACKENDS = ("native", "xnnpack", "auto")

#: First line of a file of layer times that is not a comment.
_FORMAT = "mobileinst-layer-times 1"

#: Microseconds of our native kernel and of XNNPACK's operator for each layer, as `layer_key` writes it.
LayerTimes = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Backend:
    """Chooses for each layer. ``times`` matters to "auto" alone; layers that it lacks are ours."""

    name: str = BACKENDS[0]
    times: LayerTimes = field(default_factory=dict)

    def takes_xnnpack(self, layer: str) -> bool:
        """Whether XNNPACK computes the layer of that key."""
        if self.name != "auto":
            return self.name == "xnnpack"
        ours, xnnpack = self.times.get(layer, (0.0, 0.0))
        return xnnpack < ours


def active_backend(tier: str) -> Backend:
    """What the environment variable MOBILEINST_BACKEND names, for plans of a tier.

    "auto" is native kernels alone where XNNPACK is not built in or the tier was not measured.

    Raises:
        ValueError: if the name is unknown, XNNPACK is asked for but can't be had, or the times can't be read.
    """
    name = os.environ.get("MOBILEINST_BACKEND") or BACKENDS[0]
    if name not in BACKENDS:
        raise ValueError(
            f"environment variable MOBILEINST_BACKEND: expected {', '.join(BACKENDS[:-1])} or "
            f"{BACKENDS[-1]}, got {name!r}"
        )
    if name == "xnnpack" and not _native.has_xnnpack():
        raise ValueError(
            "environment variable MOBILEINST_BACKEND: xnnpack is not in this build or can't run here"
        )
    path = times_path(tier)
    measured = name == "auto" and _native.has_xnnpack() and path.is_file()
    return Backend(name, read_layer_times(path) if measured else {})


def times_path(tier: str) -> Path:
    """Where the layer times of a tier are kept, if it was measured; benchmarks/layers.py writes them."""
    folder = Path(__file__).with_name("layer_times")
    measured = folder / f"{tier}.txt"
    # A tier that adds another type has the float kernels of the one that it is named after.
    return measured if measured.is_file() else folder / f"{tier.partition('_')[0]}.txt"


def layer_key(
    height: int, width: int, inputs: int, outputs: int, *, kernel_size: int, stride: int, groups: int
) -> str:
    """Kind and extents of a layer on a map (height, width, inputs), as the shape files have them."""
    kind = _native.conv_kind(inputs, outputs, kernel_size, stride, groups)
    size, channels, window = (height, width), (inputs, outputs), (kernel_size, stride)
    extents = {
        "gemm": (height * width, *channels),
        "conv3x3": (*size, *channels),
        "depthwise": (*size, inputs, *window),
        "conv_direct": (*size, *channels, *window, *([groups] if groups > 1 else [])),
    }
    return " ".join(map(str, (kind, *extents[kind])))


def read_layer_times(path: Path) -> dict[str, tuple[float, float]]:
    """Times that :func:`format_layer_times` wrote.

    Raises:
        ValueError: naming the line that is wrong.
    """
    times: dict[str, tuple[float, float]] = {}
    header = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not header:
            if line != _FORMAT:
                raise ValueError(f"{path}:{number}: expected {_FORMAT!r}, got {line!r}")
            header = True
            continue
        words = line.split()
        try:
            ours, xnnpack = (float(word) for word in words[-2:])
            if len(words) < 3 or not (ours > 0 and xnnpack > 0):
                raise ValueError
        except ValueError:
            raise ValueError(f"{path}:{number}: expected a layer and two times, got {line!r}") from None
        times[" ".join(words[:-2])] = ours, xnnpack
    if not header:
        raise ValueError(f"{path}: expected {_FORMAT!r}, got no line of it")
    return times


def format_layer_times(times: LayerTimes, comments: list[str]) -> str:
    """The text of a file of layer times; the comments say where they come from."""
    lines = [f"# {comment}" for comment in comments]
    lines.append(_FORMAT)
    lines += [f"{layer} {ours:.1f} {xnnpack:.1f}" for layer, (ours, xnnpack) in times.items()]
    return "\n".join(lines) + "\n"
