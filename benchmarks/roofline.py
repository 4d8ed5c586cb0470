"""How near a whole network comes to what the core's multiply-adds allow.

    python benchmarks/roofline.py topformer_b --width 128 --size 640 --rounds 25

One thread, from image to the masks of all queries. The limit is the multiply-adds of that at the rate that
independent multiply-adds on registers reach, measured between the rounds; 3x3 convolutions at stride 1 count
a quarter, as in Winograd's F(4x4, 3x3) without its transforms. Kernels may use fewer (F(8x8, 3x3)): the limit
stays the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from support.command import check_outputs, positive, run
from support.machine import describe_machine, today
from support.table import markdown_table

from mobileinst import Segmenter, _native
from weights_tools import create

#: Share of a 3x3's multiply-adds that F(4x4, 3x3) leaves: 36 products for 16 outputs of 9 each.
WINOGRAD = 36 / (16 * 9)
_PEAKS = 5


def measure(weights: Path, size: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of the whole network, the limit, and where the time goes by kind of node."""
    segmenter = Segmenter(weights, threads=1, size=(size, size))
    session = segmenter._model.session(size, size)
    session.load_input(np.random.default_rng(0).standard_normal((3, size, size), dtype=np.float32))
    times, peaks = [], []
    for number in range(rounds):
        if number % max(rounds // _PEAKS, 1) == 0:
            peaks.append(_native.benchmark.peak_gflops())
        begin = time.perf_counter()
        session.run_features()
        masks = session.mask_logits(session.run_instances()[2])
        times.append(1000 * (time.perf_counter() - begin))
    peak = max(peaks)
    nodes = session.profile(rounds)
    needed = float(segmenter.config.width * masks.size) + sum(map(_needed, nodes))
    kinds: dict[str, list[float]] = {}
    for node in nodes:
        total = kinds.setdefault(node["op"], [0.0, 0.0])
        total[0] += node["milliseconds"]
        total[1] += _needed(node)
    limit = needed / peak / 5e5
    return {
        "peak_gflops": peak,
        "limit_ms": limit,
        "median_ms": float(np.median(times)),
        "best_ms": min(times),
        "share_of_median": limit / float(np.median(times)),
        "share_of_best": limit / min(times),
        "nodes_ms": sum(total[0] for total in kinds.values()),
        "kinds": {op: {"ms": ms, "limit_ms": macs / peak / 5e5} for op, (ms, macs) in kinds.items()},
    }


def _needed(node: dict[str, Any]) -> float:
    return float(node["macs"]) * (WINOGRAD if node["op"] == "3x3" else 1.0)


def format_table(result: dict[str, Any]) -> str:
    """The shares, and the kinds of nodes by what they lose."""
    head = (
        f"{result['network']}, {result['machine']['cpu']}, {result['date']}: "
        f"peak {result['peak_gflops']:.1f} GFLOP/s, limit {result['limit_ms']:.1f} ms, "
        f"median {result['median_ms']:.1f} ms ({result['share_of_median']:.0%} of the roofline), "
        f"best {result['best_ms']:.1f} ms "
        f"({result['share_of_best']:.0%}), nodes {result['nodes_ms']:.1f} ms\n\n"
    )
    kinds = sorted(result["kinds"].items(), key=lambda item: item[1]["limit_ms"] - item[1]["ms"])
    rows = [
        (op, f"{k['ms']:.2f}", f"{k['limit_ms']:.2f}", f"{k['ms'] - k['limit_ms']:.2f}") for op, k in kinds
    ]
    return head + markdown_table(("kind of node", "ms", "limit ms", "lost ms"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", nargs="?", default="topformer_b")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--size", type=positive, default=640)
    parser.add_argument("--rounds", type=positive, default=25)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    check_outputs(options)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.safetensors"
        if create.main([options.backbone, str(weights), "--width", str(options.width)]):
            sys.exit(1)  # it has said why
        measured = measure(weights, options.size, options.rounds)
    result = {
        "network": f"{options.backbone} w{options.width} {options.size}x{options.size}",
        "date": today(),
        "machine": describe_machine(),
        **measured,
    }
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(format_table(result))


if __name__ == "__main__":
    run(main)
