"""Count the instructions that a frame costs on aarch64, ours and other engines', without ARM hardware.

    CPUS="" .ci/aarch64 python3.11 FOLDER none   # the target's Python and our wheel, no tests
    python -m benchmarks.arm.count FOLDER --output arm.json --table arm.md

Every engine runs the same networks under qemu-user with one thread, in each precision that it has: ours in
fp32, fp16 and int8, ncnn in fp32 and fp16, MNN in all three, ONNX Runtime in fp32 and int8. Outputs are
compared with ours in fp32 first. A second run is counted, without start and loading. Emulation says nothing
about cycles: see inner_loops.py for those.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.arm.emulation import HERE, PACKAGES, count_runs, install_peer
from benchmarks.arm.fake_cpu import CORES
from benchmarks.arm.quantised import add_ranges
from benchmarks.contestants import CONTESTANTS, make_contestant
from benchmarks.contestants.base import PRECISIONS, Case, Files
from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.comparison import TOLERANCE, difference
from benchmarks.support.machine import package_version
from benchmarks.support.network import prepare
from benchmarks.support.results import make_result, markdown_table, write_result

#: By how much outputs may differ in each precision, as a share of the largest value. In others it is only
#: told: nothing made random weights robust against rounding.
TOLERANCES = {"fp32": TOLERANCE}
CPUS = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "neoverse-v1")
BACKBONES = ("topformer_b", "mobilenetv2")
#: What is installed or converted for one core serves the others.
_PREPARING = threading.Lock()
#: Cores without half-precision arithmetic, where engines compute in fp32 when told fp16, which isn't counted.
WITHOUT_HALVES = [name for name, core in CORES.items() if "asimdhp" not in core.features.split()]


def entries(engines: list[str], precisions: list[str], cpu: str) -> dict[str, list[str]]:
    """Engines with the precisions that they are measured in on a core, by name.

    The first one's outputs are what others are compared with.
    """
    there = [one for one in precisions if one != "fp16" or cpu not in WITHOUT_HALVES]
    return {name: [one for one in there if one in CONTESTANTS[name].precisions] for name in engines}


def measure(
    folder: Path, wanted: dict[str, list[str]], cpu: str, case: Case, files: Files
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Counts of every engine and precision on one core and network, each compared with the first's outputs.

    Yields each one's name with its counts or why there are none, as an engine takes minutes.
    """
    reference: dict[str, Any] | None = None
    for name, precisions in wanted.items():
        print(f"{case.backbone}, {name} on {cpu}", file=sys.stderr, flush=True)
        cases = []
        for one in (replace(case, precision=precision) for precision in precisions):
            try:
                with _PREPARING:
                    install_peer(folder, name)
                    if name != "mobileinst":
                        make_contestant(name).convert(files, one)
                cases.append(one)
            except Exception as error:  # whatever a converter raises: the others are still counted
                yield f"{name} {one.precision}", f"{type(error).__name__}: {error}".splitlines()[0]
        for one, found in zip(cases, count_runs(folder, name, cpu, cases, files), strict=True):
            label = f"{name} {one.precision}"
            try:
                if isinstance(found, str):
                    raise ValueError(found)
                counts, outputs = found
                reference = outputs if reference is None else reference
                off = difference(reference, outputs)
                if off > TOLERANCES.get(one.precision, float("inf")):
                    raise ValueError(f"its outputs differ by {off:.1e}")
            except ValueError as error:
                yield label, str(error).splitlines()[0]
            else:
                yield label, {**counts, "difference": off}


def format_report(document: dict[str, Any]) -> str:
    """Markdown: a table per network, a row per core, engine and precision; ratios are our count over the best
    other's."""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    text = f"One frame under qemu-user; {document['date']}, commit {document['commit']}; {versions}\n"
    header = ["core, engine, precision", "M instructions", "M vector multiply-adds", "difference"]
    header += ["ours / best of the precision", "ours / best of all"]
    for label in dict.fromkeys(core["label"] for core in document["cores"]):
        cores = [core for core in document["cores"] if core["label"] == label]
        rows = [row for core in cores for row in _rows(core)]
        text += f"\n## {label}\n\n{markdown_table(header, rows)}"
        for core in cores:
            for entry, why in core["skipped"].items():
                text += f"\nSkipped: {entry} on {core['cpu']} ({why}).\n"
    return text


def _rows(core: dict[str, Any]) -> list[list[str]]:
    """Cells of what was counted on a core."""
    results, rows = core["results"], []
    for entry, x in sorted(results.items(), key=lambda item: PRECISIONS.index(item[0].split()[1])):
        millions = [f"{x[key] / 1e6:.0f}" for key in ("instructions", "multiply_adds")]
        cells = [f"{core['cpu']}, {entry}", *millions, f"{x['difference']:.1e}"]
        rows.append(cells + [_ratio(results, entry, all_=all_) for all_ in (False, True)])
    return rows


def _ratio(results: dict[str, Any], label: str, *, all_: bool) -> str:
    """Our instructions over the least of the others', of the same precision or of all; "-" for others."""
    name, precision = label.split()
    others = [
        x["instructions"]
        for other, x in results.items()
        if not other.startswith("mobileinst ") and (all_ or other.endswith(f" {precision}"))
    ]
    return f"{results[label]['instructions'] / min(others):.2f}" if name == "mobileinst" and others else "-"


def _prepare(backbone: str, options: argparse.Namespace, folder: Path) -> tuple[Case, Files]:
    """A network's case and files, kept in the folder."""
    case = Case(backbone, options.width, options.size, options.size, options.part, 1)
    files = prepare(case, folder / "networks", None)
    if "int8" in options.precisions:
        files = Files(add_ranges(files.weights, options.size), files.onnx)
    return case, files


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("--engines", nargs="+", default=list(PACKAGES), choices=list(PACKAGES))
    parser.add_argument("--precision", nargs="+", default=["fp32", "fp16", "int8"], dest="precisions")
    parser.add_argument("--cpus", nargs="+", default=list(CPUS), choices=list(CORES))
    parser.add_argument("--jobs", type=positive, default=1, help="cores that are emulated at a time (1)")
    parser.add_argument("--backbone", nargs="+", default=list(BACKBONES), dest="backbones")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--part", default="masks", choices=["masks", "model", "features"])
    options = parser.parse_args()
    check_outputs(options)
    folder = options.folder.resolve()
    if not (folder / "root" / "usr" / "bin" / "python3.11").exists():
        sys.exit(f"{folder}: no target's Python there; run .ci/aarch64 with this folder first")
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True)
    document = make_result(
        "arm",
        versions={name: package_version(*packages) for name, packages in PACKAGES.items() if packages},
        cores=[],
    )
    networks = [_prepare(name, options, folder) for name in options.backbones]
    for cpu in options.cpus:
        for case, _ in networks:
            document["cores"].append({"cpu": cpu, "label": case.label, "results": {}, "skipped": {}})
    writing = threading.Lock()

    def count_on(cpu: str) -> None:
        cores = [core for core in document["cores"] if core["cpu"] == cpu]
        wanted = entries(options.engines, options.precisions, cpu)
        for core, (case, files) in zip(cores, networks, strict=True):
            for label, found in measure(folder, wanted, cpu, case, files):
                with writing:
                    core["skipped" if isinstance(found, str) else "results"][label] = found
                    write_result(document, format_report(document), options)

    with ThreadPoolExecutor(options.jobs) as pool:
        for job in [pool.submit(count_on, cpu) for cpu in options.cpus]:
            job.result()
    print(format_report(document), end="")


if __name__ == "__main__":
    run(main)
