"""Time every layer shape of networks: our tiers against PyTorch and XNNPACK, on one thread.

    python -m benchmarks.layers topformer_b-w128-640
    python -m benchmarks.layers NETWORK... --contestants avx2 torch --rounds 9 --output layers.json
    python -m benchmarks.layers NETWORK... --contestants avx512 xnnpack --write-times
    python -m benchmarks.layers default-384 --precision fp32 int8 --table layers.md

A network is named by its backbone, the width of its mask decoder and its input: topformer_b-w128-288x512; or
by the name of weights that ship with the package and the input.

Contestants take turns on each shape, round by round; the median counts. Outputs are compared with PyTorch's
(or those of the first contestant in fp32) before anything is timed. "peak" is the share of what the core's
multiply-adds of that type reach on registers in the same run, at its beginning or its end, whichever is more;
Winograd's 3x3 needs up to 5.8 times fewer multiplications than are counted and may pass 100 %. Weights are
packed and operators set up before; only their run is timed.

Our kernels and XNNPACK are timed in C++ and have the ReLU within; PyTorch is timed from Python, with a ReLU
of its own afterwards: a few microseconds of Python count for PyTorch, which shows in the smallest layers.

In int8 and fp16 our kernels run as plans of one node. In int8 all contestants get the same integers, whose
values are the inputs of the others, and must give the integers nearest to the outputs of these. That leaves
XNNPACK and ours a step apart at most, where a value lies in the middle of two integers: ours round a product
and a sum of floats that includes the output's zero, XNNPACK rounds the product and adds the zero to it. Ours
apply a SiLU by a table, XNNPACK's operators have none; here all have a ReLU, which is limits.

--write-times keeps the times of the machine's fastest tier and of XNNPACK for MOBILEINST_BACKEND=auto.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shapes import LayerShape, network_shapes
from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.kernels import timing
from benchmarks.support.machine import package_version
from benchmarks.support.results import make_result, markdown_table, origin_line, write_result
from mobileinst import _native
from mobileinst.engine import backend, offered_precisions
from mobileinst.engine.precision import quantisation_of
from mobileinst.engine.types import DType, Quantisation

Array = NDArray[np.float32]
#: Gives seconds of each of `repeats` runs and the output.
Runner = Callable[[int], tuple[list[float], Array]]
#: Of the largest output, or of 1.
TOLERANCE = 1e-3
#: The same for halves, which hold 11 bits of each of the sums.
HALF_TOLERANCE = 2e-2
#: Steps of an output of int8: half a step, as it is the nearest integer to the exact value, and what the sums
#: in fp32 that it is compared with are off by.
ROUNDING = 0.53
DTYPES: dict[str, DType] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


@dataclass(frozen=True)
class Operands:
    """Input and weight of a layer: floats that are whole multiples of the scales of their integers.

    Attributes:
        x: Rows or an NHWC image.
        weight: As PyTorch lays it out.
        x_values: Scale and zero of the input's integers.
        weight_scales: Scales of the weight's, for each output channel.
    """

    x: Array
    weight: Array
    x_values: Quantisation
    weight_scales: Array


def make_operands(shape: LayerShape, seed: int = 0) -> Operands:
    """Random ones with outputs of about unit size."""
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
    scale, zero = quantisation_of((float(x.min()), float(x.max())))
    x = np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127) - zero
    weight = generator.standard_normal(sizes[1], dtype=np.float32)
    weight /= np.float32(np.sqrt(np.prod(sizes[1][1:])))
    scales = np.abs(weight).max(tuple(range(1, weight.ndim)), keepdims=True) / np.float32(127)
    weight = np.rint(weight / scales) * scales
    return Operands((x * scale).astype(np.float32), weight, (scale, zero), scales.ravel())


def output_values(outputs: Array) -> Quantisation:
    """Scale and zero of the integers of outputs, which have passed a ReLU."""
    return quantisation_of((0.0, float(outputs.max())))


def native_plan_runner(
    shape: LayerShape, operands: Operands, tier: str, dtype: DType, values: Quantisation
) -> Runner:
    """Our kernel of a tier as a plan runs it, timed there; `values` are the output's in int8."""
    x, weight = operands.x, operands.weight
    builder = _native.PlanBuilder(tier)
    integers = dtype == "int8"
    source = builder.constant(x.reshape(-1, x.shape[-1]), dtype, operands.x_values if integers else None)
    if x.ndim == 3:
        source = builder.reshape(source, *x.shape[:2])
    height, width = x.shape[:2] if x.ndim == 3 else (1, x.shape[0])
    stride = stride_of(shape)
    out = ((height - 1) // stride + 1, (width - 1) // stride + 1, weight.shape[0])
    output = builder.tensor(*out, dtype, values if integers else None)
    builder.keep(output)
    packed = _native.ConvWeights(
        weight.reshape(*weight.shape[:2], *(weight.shape[2:] or (1, 1))),
        None,
        stride,
        x.shape[-1] // weight.shape[1],
        tier,
        _native.winograd_tile(height, width, dtype),
        dtype,
    )
    builder.add("conv", shape.name, [source], output, "relu", weights=packed)
    plan = _native.Plan(builder, _native.ThreadPool(1))

    def runner(repeats: int) -> tuple[list[float], Array]:
        seconds = []
        for _ in range(repeats):
            plan.run()
            seconds.append(1e-3 * plan.profile()[0]["milliseconds"])
        return seconds, plan.read_tokens(output).reshape(*(out if x.ndim == 3 else out[1:]))

    return runner


def xnnpack_runner(
    shape: LayerShape, operands: Operands, dtype: DType = "float32", values: Quantisation = (1.0, 0)
) -> Runner:
    """XNNPACK's operator, timed inside the extension; `values` are the output's in int8."""
    x, weight, stride = operands.x, operands.weight, stride_of(shape)
    if dtype == "float32":
        return lambda repeats: timing.xnnpack(shape.kernel, x, weight, stride, repeats)
    scale, zero = operands.x_values
    scales = operands.weight_scales
    whole = np.rint(x / np.float32(scale)) + np.float32(zero)
    weights = np.rint(weight / scales.reshape(-1, *(1,) * (weight.ndim - 1)))
    quantisation = operands.x_values, scales, values

    def runner(repeats: int) -> tuple[list[float], Array]:
        seconds, out = timing.xnnpack(shape.kernel, whole, weights, stride, repeats, quantisation)
        return seconds, (out - np.float32(values[1])) * np.float32(values[0])

    return runner


def stride_of(shape: LayerShape) -> int:
    return shape.extents[-1] if shape.kernel in ("conv_direct", "depthwise") else 1


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


def labels_of(names: list[str], precisions: list[str]) -> list[str]:
    """Each contestant in each precision that it has, as in "avx2" (in fp32) and "avx2 int8"."""
    labels = []
    for precision in precisions:
        for name in names:
            if name == "torch":
                known = precision == "fp32"
            elif name == "xnnpack":
                known = precision != "fp16"
            else:
                known = _native.has_kernels("gemm", DTYPES[precision], name)
            if known:
                labels.append(name if precision == "fp32" else f"{name} {precision}")
    return labels


def precision_of(label: str) -> str:
    return label.partition(" ")[2] or "fp32"


def make_runner(label: str, shape: LayerShape, operands: Operands, values: Quantisation) -> Runner | None:
    """The contestant of a label; `values` are the output's in int8. None where it has no such kernel."""
    name, dtype = label.partition(" ")[0], DTYPES[precision_of(label)]
    if name == "torch":
        return torch_runner(shape, operands.x, operands.weight)
    if name == "xnnpack":
        return xnnpack_runner(shape, operands, dtype, values)
    if dtype == "float32":
        return native_runner(shape, operands.x, operands.weight, name)
    if not _native.has_kernels(shape.kernel, dtype, name):
        return None
    return native_plan_runner(shape, operands, name, dtype, values)


def measure_shape(shape: LayerShape, names: list[str], rounds: int, milliseconds: float) -> dict[str, Any]:
    """Median seconds of each contestant, by label, after its output has been compared."""
    operands = make_operands(shape)
    floats = [name for name in names if precision_of(name) == "fp32"]
    first = "torch" if "torch" in floats else next(iter(floats), names[0].partition(" ")[0])
    reference = make_runner(first, shape, operands, (1.0, 0))
    assert reference is not None
    _, expected = reference(1)
    values = output_values(expected)
    largest = max(1.0, float(np.abs(expected).max()))
    tolerances = {
        "fp32": TOLERANCE * largest,
        "fp16": HALF_TOLERANCE * largest,
        "int8": ROUNDING * values[0],
    }
    made = {name: make_runner(name, shape, operands, values) for name in names}
    runners = {name: runner for name, runner in made.items() if runner is not None}
    repeats, differences = {}, {}
    for name, runner in runners.items():
        seconds, output = runner(2)
        difference = float(np.abs(output - expected).max())
        if not difference <= tolerances[precision_of(name)]:
            raise RuntimeError(f"{name} differs by {difference:.2e} in {shape.kernel} {shape.extents}")
        differences[name] = difference
        repeats[name] = max(1, min(1000, int(milliseconds * 1e-3 / max(min(seconds), 1e-7))))
    seconds_of: dict[str, list[float]] = {name: [] for name in runners}
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
    names, peaks = result["contestants"], result["peak_gflops"]
    header = ["shape", "count", "ms"]
    for name in names:
        header += [f"{name} {'GOP/s' if precision_of(name) == 'int8' else 'GFLOP/s'}", "peak"]
    rows = []
    first = names[0]
    for layer in sorted(
        result["layers"], key=lambda layer: -layer["seconds"].get(first, 0.0) * layer["count"]
    ):
        row = [f"{layer['kernel']} {' '.join(map(str, layer['extents']))}", layer["count"]]
        row.append(
            f"{layer['seconds'][first] * 1e3 * layer['count']:.2f}" if first in layer["seconds"] else "-"
        )
        for name in names:
            if name not in layer["seconds"]:
                row += ["-", "-"]
                continue
            gflops = 2e-9 * layer["macs"] / layer["seconds"][name]
            row += [f"{gflops:.1f}", f"{gflops / peaks[precision_of(name)]:.0%}"]
        rows.append(row)
    text = f"{', '.join(result['networks'])}; peak "
    text += ", ".join(f"{peak:.1f} {precision}" for precision, peak in peaks.items())
    text += f"\n{origin_line(result)}\n\n{markdown_table(header, rows)}\n{_totals(result)}\n"
    return text + "".join(f"Skipped: {name} ({why}).\n" for name, why in result["skipped"].items())


def _totals(result: dict[str, Any]) -> str:
    """Milliseconds of the layers that all compute, by each contestant and by the fastest of a precision."""
    names = result["contestants"]
    layers = [layer for layer in result["layers"] if len(layer["seconds"]) == len(names)]

    def total(group: list[str]) -> str:
        seconds = sum(min(layer["seconds"][name] for name in group) * layer["count"] for layer in layers)
        return f"{1e3 * seconds:.1f} ms"

    sums = [f"{name} {total([name])}" for name in names]
    for precision in dict.fromkeys(map(precision_of, names)):
        group = [name for name in names if precision_of(name) == precision]
        if len(group) > 1:
            sums.append(f"each by the fastest in {precision} {total(group)}")
    which = "All layers" if len(layers) == len(result["layers"]) else "Layers that all compute"
    return f"{which}: {', '.join(sums)}"


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


def measure_peaks(precisions: list[str]) -> dict[str, float]:
    """What the fastest tier's multiply-adds reach on registers, in GFLOP/s or GOP/s."""
    return {name: timing.peak_gflops(dtype=DTYPES[name]) for name in precisions}


def parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("networks", nargs="+", help="as in topformer_b-w128-640 or default-384")
    parser.add_argument("--contestants", nargs="+", help="tiers, torch, xnnpack (default: all there are)")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="per contestant, shape and round")
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=offered_precisions())
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
    names = labels_of(names, options.precision)
    layers, peaks = [], measure_peaks(options.precision)
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
        peak_gflops={key: max(peaks[key], peak) for key, peak in measure_peaks(options.precision).items()},
        layers=layers,
    )
    table = format_table(result)
    write_result(result, table, options)
    if options.write_times:
        write_times(result, options.write_times)
    print(table, end="")


if __name__ == "__main__":
    run(main)
