"""Time every layer shape of networks: our tiers against PyTorch and XNNPACK, on one thread.

    python -m benchmarks.layers topformer_b-w128-640
    python -m benchmarks.layers NETWORK... --contestants avx2 torch --rounds 9 --output layers.json
    python -m benchmarks.layers NETWORK... --contestants avx512 xnnpack --write-times

A network is named by its backbone, the width of its mask decoder and its input: topformer_b-w128-288x512.

Contestants take turns on each shape, round by round; the median counts. Outputs are compared with PyTorch's
(or `ref`'s) before anything is timed. "peak" is the share of what the core's multiply-adds reach on registers
in the same run, at its beginning or its end, whichever is more; Winograd's 3x3 needs up to 5.8 times fewer
multiplications than are counted and may pass 100 %. Weights are packed and operators set up before; only
their run is timed.

Our kernels and XNNPACK are timed in C++ and have the ReLU within; PyTorch is timed from Python, with a ReLU
of its own afterwards: a few microseconds of Python count for PyTorch, which shows in the smallest layers.

--write-times keeps the times of the machine's fastest tier and of XNNPACK for MOBILEINST_BACKEND=auto.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shapes import LayerShape, network_shapes
from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.kernels import timing
from benchmarks.support.machine import package_version
from benchmarks.support.results import make_result, origin_line, write_json
from mobileinst import _native
from mobileinst.engine import backend
from mobileinst.io.tables import markdown_table

Array = NDArray[np.float32]
#: Gives seconds of each of `repeats` runs and the output.
Runner = Callable[[int], tuple[list[float], Array]]
TOLERANCE = 1e-3


def make_arrays(shape: LayerShape, seed: int = 0) -> tuple[Array, Array]:
    """Input (rows or an NHWC image) and weight (PyTorch's layout) with outputs of about unit size."""
    generator = np.random.default_rng(seed)
    e = shape.extents
    if shape.kernel == "gemm":
        sizes: tuple[tuple[int, ...], tuple[int, ...]] = ((e[0], e[1]), (e[2], e[1]))
    elif shape.kernel == "depthwise":
        sizes = ((e[0], e[1], e[2]), (e[2], 1, e[3], e[3]))
    else:
        kernel = e[4] if shape.kernel == "conv_direct" else 3
        sizes = ((e[0], e[1], e[2]), (e[3], e[2], kernel, kernel))
    x = generator.standard_normal(sizes[0], dtype=np.float32)
    weight = generator.standard_normal(sizes[1], dtype=np.float32)
    return x, weight / np.float32(np.sqrt(np.prod(sizes[1][1:])))


def native_runner(shape: LayerShape, x: Array, weight: Array, tier: str) -> Runner:
    """Our kernel of a tier, timed inside the extension."""
    function = getattr(timing, shape.kernel)
    strides = (shape.extents[-1],) if shape.kernel in ("conv_direct", "depthwise") else ()
    return lambda repeats: function(x, weight, *strides, activation="relu", repeats=repeats, tier=tier)


def torch_runner(shape: LayerShape, x: Array, weight: Array) -> Runner:
    """PyTorch's convolution in its fast channels-last format, or linear layer, then a ReLU in place."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(1)
    w = torch.from_numpy(weight)
    if shape.kernel == "gemm":
        rows = torch.from_numpy(x)

        def run() -> torch.Tensor:
            return F.linear(rows, w).relu_()

    else:
        image = torch.from_numpy(x).permute(2, 0, 1)[None].to(memory_format=torch.channels_last)
        w = w.to(memory_format=torch.channels_last)
        stride = 1 if shape.kernel == "conv3x3" else shape.extents[-1]
        groups = x.shape[2] if shape.kernel == "depthwise" else 1

        def run() -> torch.Tensor:
            return F.conv2d(image, w, None, stride, weight.shape[2] // 2, groups=groups).relu_()

    def runner(repeats: int) -> tuple[list[float], Array]:
        with torch.inference_mode():
            out = run()
            seconds = []
            for _ in range(repeats):
                start = time.perf_counter()
                out = run()
                seconds.append(time.perf_counter() - start)
        array = out if out.ndim == 2 else out[0].permute(1, 2, 0)
        return seconds, array.contiguous().numpy()

    return runner


def find_contestants(wanted: list[str] | None) -> tuple[list[str], dict[str, str]]:
    """Names to run, and the reason for each that can't."""
    known = [tier for tier in _native.supported_tiers() if tier != "ref"] or ["ref"]
    skipped = {}
    try:
        import torch  # noqa: F401

        known.append("torch")
    except ImportError:
        skipped["torch"] = 'not installed: pip install "mobileinst[train]"'
    if _native.has_xnnpack():
        known.append("xnnpack")
    else:
        skipped["xnnpack"] = "not in this build of mobileinst"
    if wanted is None:
        return known, skipped
    for name in wanted:
        if name not in known and name != "ref":
            skipped.setdefault(name, f"unknown; known are {', '.join([*known, 'ref'])}")
    return [name for name in wanted if name not in skipped], skipped


def make_runner(name: str, shape: LayerShape, x: Array, weight: Array) -> Runner:
    if name == "torch":
        return torch_runner(shape, x, weight)
    if name == "xnnpack":
        stride = shape.extents[-1] if shape.kernel in ("conv_direct", "depthwise") else 1
        return lambda repeats: timing.xnnpack(shape.kernel, x, weight, stride, repeats)
    return native_runner(shape, x, weight, name)


def measure_shape(shape: LayerShape, names: list[str], rounds: int, milliseconds: float) -> dict[str, Any]:
    """Median seconds of each contestant, after its output has been compared."""
    x, weight = make_arrays(shape)
    runners = {name: make_runner(name, shape, x, weight) for name in names}
    _, expected = runners["torch" if "torch" in runners else names[0]](1)
    repeats, differences = {}, {}
    for name, runner in runners.items():
        seconds, output = runner(2)
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise RuntimeError(f"{name} differs by {difference:.2e} in {shape.kernel} {shape.extents}")
        differences[name] = difference
        repeats[name] = max(1, min(1000, int(milliseconds * 1e-3 / max(min(seconds), 1e-7))))
    seconds_of: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, runner in runners.items():
            seconds_of[name] += runner(repeats[name])[0]
    return {
        "kernel": shape.kernel,
        "extents": shape.extents,
        "count": shape.count,
        "name": shape.name,
        "macs": shape.macs,
        "seconds": {name: statistics.median(values) for name, values in seconds_of.items()},
        "difference": differences,
    }


def format_table(result: dict[str, Any]) -> str:
    """Per shape GFLOP/s and share of peak of each contestant, heaviest (time x count of the first) first."""
    names, peak = result["contestants"], result["peak_gflops"]
    header = ["shape", "count", "ms"]
    for name in names:
        header += [f"{name} GFLOP/s", "peak"]
    rows = []
    first = names[0]
    for layer in sorted(result["layers"], key=lambda layer: -layer["seconds"][first] * layer["count"]):
        row = [f"{layer['kernel']} {' '.join(map(str, layer['extents']))}", layer["count"]]
        row.append(f"{layer['seconds'][first] * 1e3 * layer['count']:.2f}")
        for name in names:
            gflops = 2e-9 * layer["macs"] / layer["seconds"][name]
            row += [f"{gflops:.1f}", f"{gflops / peak:.0%}"]
        rows.append(row)
    totals = {name: sum(x["seconds"][name] * x["count"] for x in result["layers"]) for name in names}
    text = f"{', '.join(result['networks'])}; peak {peak:.1f} GFLOP/s\n{origin_line(result)}\n\n"
    text += markdown_table(header, rows) + "\nAll layers: "
    text += ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in totals.items()) + "\n"
    return text + "".join(f"Skipped: {name} ({why}).\n" for name, why in result["skipped"].items())


def all_shapes(networks: list[str]) -> list[LayerShape]:
    """The shapes of all networks, each once, with how often it occurs in all of them."""
    merged: dict[tuple[str, tuple[int, ...]], LayerShape] = {}
    for shape in (shape for name in networks for shape in network_shapes(name)):
        key = (shape.kernel, shape.extents)
        known = merged.get(key)
        merged[key] = shape if known is None else replace(known, count=known.count + shape.count)
    return list(merged.values())


def check_timed(names: list[str]) -> str:
    """The machine's fastest tier, whose times can be kept.

    Raises:
        ValueError: unless it and XNNPACK take part. XNNPACK takes the instructions that the processor has, so
            beside a slower tier it would not be what machines of that tier get.
    """
    tier = _native.supported_tiers()[-1]
    if not {tier, "xnnpack"} <= set(names):
        raise ValueError(f"expected {tier} and xnnpack to be timed, got {', '.join(names)}")
    return tier


def write_times(result: dict[str, Any], path: Path) -> None:
    """Keep what was measured for MOBILEINST_BACKEND=auto, with where it comes from.

    Raises:
        ValueError: as check_timed().
    """
    tier = check_timed(result["contestants"])
    times = {
        " ".join(map(str, (layer["kernel"], *layer["extents"]))): (
            layer["seconds"][tier] * 1e6,
            layer["seconds"]["xnnpack"] * 1e6,
        )
        for layer in result["layers"]
    }
    machine = result["machine"]
    comments = [
        f"Microseconds of layers on one thread: our {tier} kernel, then XNNPACK's operator.",
        "MOBILEINST_BACKEND=auto takes the faster. Written by benchmarks.layers --write-times.",
        f"{machine['cpu']}, {machine['system']}; {result['date']}; commit {result['commit'] or 'unknown'}",
        f"Networks: {', '.join(result['networks'])}",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(backend.format_layer_times(times, comments), encoding="utf-8")


def parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("networks", nargs="+", help="as in topformer_b-w128-640")
    parser.add_argument("--contestants", nargs="+", help="tiers, torch, xnnpack (default: all there are)")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="per contestant, shape and round")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument(
        "--write-times",
        type=Path,
        nargs="?",
        const=backend.times_path(_native.supported_tiers()[-1]),
        help="keep the times for MOBILEINST_BACKEND=auto, in the package or this file",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    if options.quick:
        options.rounds, options.milliseconds = 1, 1.0
    names, skipped = find_contestants(options.contestants)
    if not names:
        sys.exit(f"no contestant to run: {skipped}")
    if options.write_times:
        check_timed(names)
    check_outputs(options)
    layers, peak = [], timing.peak_gflops()
    for shape in all_shapes(options.networks):
        print(f"{shape.kernel} {shape.extents}", file=sys.stderr)
        layers.append(measure_shape(shape, names, options.rounds, options.milliseconds))
    result = make_result(
        "layers",
        versions={"mobileinst": package_version("mobileinst"), "torch": package_version("torch")},
        networks=options.networks,
        contestants=names,
        skipped=skipped,
        # what else the machine did may have lowered either
        peak_gflops=max(peak, timing.peak_gflops()),
        layers=layers,
    )
    if options.output:
        write_json(result, options.output)
    if options.write_times:
        write_times(result, options.write_times)
    print(format_table(result), end="")


if __name__ == "__main__":
    run(main)
