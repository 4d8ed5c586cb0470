"""Time the same network in every engine: interleaved, one process each, after comparing their outputs.

    python -m benchmarks.peers --output peers.json --table peers.md
    python -m benchmarks.peers --backbones topformer_b --widths 128 --sizes 640 --threads 1 --parts model
    python -m benchmarks.peers --precision fp32 bf16 int8 --parts masks --annotations A.json --images D
    python -m benchmarks.peers --precision fp32 bf16 int8 --parts masks --annotations A.json --images D \\
        --weights mobileinst/assets/default.safetensors --sizes 384

Needs weights_tools (PyTorch and onnx) to make the network; each engine that is not installed is named and
skipped. "ratio" is the fastest other engine's median divided by ours: above 1 we are faster.

With --precision every engine runs in each of these that it has, and ratios are of the fastest other one in
any precision to our fastest. All take the ranges of int8 from the same pictures, ours where --weights has
none. Beside the times stands what the precision costs: with --weights the AP of all pictures, stretched to
the input's size, else the error of the mask logits. Who loses more than 2 points of AP doesn't count.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, entries, is_ours, parse_entry
from benchmarks.contestants.base import OUTPUTS, PRECISIONS, Case
from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.comparison import compare, measure_accuracy
from benchmarks.support.network import prepare
from benchmarks.support.pictures import add_options, chosen_pictures
from benchmarks.support.results import make_result, markdown_table, origin_line, write_result
from mobileinst.weights import load_weights

#: AP that rounding may cost a time that counts.
MOST_LOST = 0.02

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"


def shared_options(description: str | None) -> argparse.ArgumentParser:
    """Options that `peers` and `frame` share."""
    parser = make_parser(description, outputs=True)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=PRECISIONS, help="one or several")
    add_options(parser)
    parser.add_argument("--rounds", type=positive, default=15, help="turns of each contestant")
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--weights", type=Path, help="weights file instead of random weights")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="keeps networks between runs")
    parser.add_argument("--quick", action="store_true", help="tiny network, two rounds: only to see it work")
    return parser


def needs_ranges(names: list[str]) -> bool:
    """Whether any of the contestants computes in integers."""
    return any(parse_entry(name)[1] in ("int8", "auto") for name in names)


def entries_of(options: argparse.Namespace) -> list[str]:
    """Who takes part: the engines in each precision. Ours in fp32 always does, as the others are compared
    with it."""
    found = entries(options.contestants, dict.fromkeys(options.precision))
    first = [] if options.contestants[0] != "mobileinst" else ["mobileinst"]
    return list(dict.fromkeys(first + found))


def counted(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those whose masks are about as good as ours in fp32, where AP was measured."""
    least = results.get("mobileinst", {}).get("ap", 0.0) - MOST_LOST
    return {name: x for name, x in results.items() if x.get("ap", 1.0) >= least}


def ratio(results: dict[str, dict[str, Any]], key: str = "median_ms") -> float | None:
    """That value of the fastest other engine over that of our fastest; None where either is missing."""
    results = counted(results)
    ours = [x[key] for name, x in results.items() if is_ours(name)]
    others = [x[key] for name, x in results.items() if not is_ours(name)]
    return float(min(others) / min(ours)) if ours and others else None


def report(cases: list[dict[str, Any]], kind: str, names: list[str]) -> dict[str, Any]:
    """The document that is written as JSON."""
    versions = {name: x["version"] for case in cases for name, x in case["results"].items()}
    for case in cases:
        case["ratio"] = ratio(case["results"])
        case["ratio_min"] = ratio(case["results"], "min_ms")
        case["ratio_cpu"] = ratio(case["results"], "median_cpu_ms")
    return make_result(kind, versions=versions, contestants=names, cases=cases)


def format_report(document: dict[str, Any]) -> str:
    """Markdown: where and when, the tables, for several parts under a heading each, and who was left out."""
    cases = document["cases"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    text = f"{origin_line(document)}\n{versions}\n\n"
    text += (
        "Median ms (min-max). Ratios of the fastest other engine to mobileinst: of medians, of minima, and\n"
    )
    text += "of median processor time, which other work on the machine disturbs least.\n\n"
    if any(parse_entry(name)[1] != "fp32" for name in document["contestants"]):
        text += "MiB: peak beyond interpreter and NumPy. "
        text += "Error: of mask logits, root mean squares, to ours in fp32.\n\n"
    parts = list(dict.fromkeys(case["case"]["part"] for case in cases))
    sections = []
    for part in parts:
        heading = f"## {part}: {', '.join(OUTPUTS[part])}\n\n" if len(parts) > 1 else ""
        chosen = [case for case in cases if case["case"]["part"] == part]
        sections.append(heading + format_tables(chosen, document["contestants"]))
    return text + "\n".join(sections) + format_skipped(cases)


def format_tables(cases: list[dict[str, Any]], names: list[str]) -> str:
    """All cases together in single precision, else a table for each."""
    if all(parse_entry(name)[1] == "fp32" for name in names):
        return format_cases(cases, names)
    return "\n".join(map(format_precisions, cases))


def format_precisions(case: dict[str, Any]) -> str:
    """A row per contestant and precision, the fastest first, with what the precision costs."""
    results = sorted(case["results"].items(), key=lambda item: float(item[1]["median_ms"]))
    counting = counted(case["results"])
    least = min((x["median_ms"] for name, x in counting.items() if is_ours(name)), default=None)
    rows = []
    for name, x in results:
        row = [name, f"{x['median_ms']:.1f} ({x['min_ms']:.1f}-{x['max_ms']:.1f})"]
        row += [f"{x['median_ms'] / least:.2f}" if least and name in counting else "-"]
        row += [f"{x['median_cpu_ms']:.1f}", f"{x['beyond_mib']:.0f}"]
        row += [f"{x['error']:.2%}", f"{100 * x['ap']:.1f}" if "ap" in x else "-"]
        rows.append(row)
    ratios = [f"{case[key]:.2f}" if case[key] else "-" for key in ("ratio", "ratio_min", "ratio_cpu")]
    heads = ["", "ms", "/ our fastest", "CPU ms", "MiB", "error", "AP"]
    text = f"### {case['label']}\n\n" + markdown_table(heads, rows)
    return text + "\nFastest other / our fastest: {}; of minima {}, of CPU time {}.\n".format(*ratios)


def format_cases(cases: list[dict[str, Any]], names: list[str]) -> str:
    """A row per case: median (min to max) ms and ratios, then processor time, then memory."""
    rows, processor, memory = [], [], []
    for case in cases:
        cells, busy, peaks = [], [], []
        for name in names:
            x = case["results"].get(name)
            cells.append(f"{x['median_ms']:.1f} ({x['min_ms']:.1f}-{x['max_ms']:.1f})" if x else "-")
            busy.append(f"{x['median_cpu_ms']:.1f}" if x else "-")
            peaks.append(f"{x['beyond_mib']:.0f}" if x else "-")
        ratios = [case[key] for key in ("ratio", "ratio_min", "ratio_cpu")]
        rows.append([case["label"], *cells, *(f"{x:.2f}" if x else "-" for x in ratios)])
        processor.append([case["label"], *busy])
        memory.append([case["label"], *peaks])
    text = markdown_table(["case", *names, "ratio", "of minima", "of CPU time"], rows)
    text += "\nMedian processor time, ms\n\n" + markdown_table(["case", *names], processor)
    return text + (
        "\nPeak memory beyond interpreter and NumPy, MiB\n\n" + markdown_table(["case", *names], memory)
    )


def format_skipped(cases: list[dict[str, Any]]) -> str:
    """Who was left out and why, and of which cases if not of all."""
    labels: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for name, why in case["skipped"].items():
            labels.setdefault((name, why), []).append(case["label"])
    text = ""
    for (name, why), found in labels.items():
        where = "" if len(found) == len(cases) else f" in {', '.join(found)}"
        text += f"\nSkipped{where}: {name} ({why})."
    return text + ("\n" if labels else "")


def check_ours(cases: list[dict[str, Any]]) -> None:
    """End with a message where a case lacks what all is about, after the others' results are written.

    Raises:
        SystemExit: if mobileinst failed or did not take part.
    """
    failed = [
        f"{name} did not run in {case['label']}: {why}"
        for case in cases
        for name, why in case["skipped"].items()
        if is_ours(name)
    ]
    if failed or not all(any(map(is_ours, case["results"])) for case in cases):
        sys.exit("\n".join(failed) or "mobileinst itself took no part")


def main() -> None:
    parser = shared_options(__doc__)
    parser.add_argument("--backbones", nargs="+", default=["topformer_b"])
    parser.add_argument("--widths", type=positive, nargs="+", default=[128, 256])
    parser.add_argument("--sizes", type=positive, nargs="+", default=[512, 640])
    parser.add_argument("--parts", nargs="+", default=list(OUTPUTS), choices=list(OUTPUTS))
    parser.add_argument("--no-ap", action="store_true", help="don't measure AP, which takes minutes")
    options = parser.parse_args()
    check_outputs(options)
    if options.quick:
        options.backbones, options.widths, options.sizes = ["topformer_t"], [32], [64]
        options.threads, options.rounds = [1], 2
    if options.weights:
        config = load_weights(options.weights).config
        options.backbones, options.widths = [config.backbone], [config.width]
    names = entries_of(options)
    pictures = chosen_pictures(options, needed=needs_ranges(names))
    options.folder.mkdir(parents=True, exist_ok=True)
    cases = []
    with (options.folder / "engines.log").open("a", encoding="utf-8") as log:
        for backbone, width, size, part, threads in product(
            options.backbones, options.widths, options.sizes, options.parts, options.threads
        ):
            case = Case(backbone, width, size, size, part, threads)
            files = prepare(case, options.folder, options.weights, pictures)
            found = compare(names, case, files, options.rounds, log)
            if pictures and options.weights and part == "masks" and not options.no_ap:
                measure_accuracy(found["results"], case, files, log, pictures)
            cases.append(found)
            # after every case, since a long comparison may be interrupted
            document = report(cases, "peers", names)
            write_result(document, format_report(document), options)
    print(format_report(document), end="")
    check_ours(cases)


if __name__ == "__main__":
    run(main)
