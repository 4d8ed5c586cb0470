"""Count the instructions that a frame costs on aarch64, ours and other engines', without ARM hardware.

    CPUS="" .ci/aarch64 python3.11 FOLDER none   # the target's Python and our wheel, no tests
    python -m benchmarks.arm.count FOLDER --output arm.json --table arm.md

Every engine runs the same network under qemu-user with one thread, once and twice; the difference
is what one run costs, without start and loading. Outputs are compared first. Emulation says nothing about
cycles: see inner_loops.py for those.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arm.fake_cpu import describe
from benchmarks.contestants import make_contestant
from benchmarks.contestants.base import Case, Files
from benchmarks.support.command import check_outputs, make_parser, run
from benchmarks.support.comparison import TOLERANCE, difference
from benchmarks.support.machine import package_version
from benchmarks.support.network import prepare
from benchmarks.support.results import make_result, write_result
from mobileinst.io.tables import markdown_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

#: Distributions of each engine on the target; ours comes from the wheel.
PACKAGES = {"mobileinst": [], "onnxruntime": ["onnxruntime"], "ncnn": ["ncnn"]}
#: qemu-user runs these single-threaded engines' pools badly: keep helpers away.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def install_peer(folder: Path, name: str) -> Path:
    """Unpack an engine's aarch64 wheels, with what they import, into a folder of their own."""
    site = folder / "peers" / name
    if PACKAGES[name] and not site.exists():
        platforms = [f"manylinux_2_{glibc}_aarch64" for glibc in (17, 24, 26, 27, 28, 31, 34, 36)]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--no-deps"]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
        command += [x for abi in ("cp311", "abi3", "none") for x in ("--abi", abi)]
        command += [x for platform in [*platforms, "manylinux2014_aarch64"] for x in ("--platform", platform)]
        subprocess.run([*command, *PACKAGES[name]], check=True)
    return site


#: By how much outputs may differ from the first engine's where one of both computes in less than fp32.
REDUCED_TOLERANCE = 0.1


def run_emulated(
    folder: Path, name: str, cpu: str, case: Case, files: Files, runs: int, precision: str = "fp32"
) -> tuple[dict[str, int], dict[str, Any]]:
    """Counts of a whole process that runs the network `runs` times, and the outputs.

    `precision` is ours; others have their defaults.
    """
    root, counts, outputs = folder / "root", folder / "counts.txt", folder / "outputs.npz"
    for path in (counts, outputs):
        path.unlink(missing_ok=True)
    describe(root, [cpu] * 4)
    plugin = f"{folder / 'count_instructions.so'},out={counts}"
    command = ["qemu-aarch64", "-cpu", cpu, "-L", str(root), "-plugin", plugin]
    command += [str(root / "usr/bin/python3.11"), "-m", "benchmarks.arm.run_network", name]
    command += [json.dumps(asdict(case)), str(files.weights), str(files.onnx), str(runs), str(outputs)]
    paths = [str(install_peer(folder, name)), str(folder / "site"), str(ROOT)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(paths), "MOBILEINST_PRECISION": precision}
    # not in the checkout, whose mobileinst is the host's
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
    )
    if done.returncode or not outputs.exists():
        raise RuntimeError(f"{name} failed under emulation ({done.returncode}): {done.stderr[-600:]}")
    pairs = (line.split() for line in counts.read_text(encoding="utf-8").splitlines())
    with np.load(outputs) as archive:
        return {key: int(value) for key, value in pairs}, dict(archive)


def count_frame(
    folder: Path, name: str, cpu: str, case: Case, files: Files, precision: str = "fp32"
) -> dict[str, Any]:
    """Instructions and vector multiply-adds of one run, and the outputs."""
    once, outputs = run_emulated(folder, name, cpu, case, files, 1, precision)
    twice, _ = run_emulated(folder, name, cpu, case, files, 2, precision)
    return {**{key: twice[key] - once[key] for key in once}, "outputs": outputs}


def measure(
    folder: Path, names: list[str], cpu: str, case: Case, files: Files, precision: str
) -> dict[str, Any]:
    """Counts of every engine on one core, each compared with the first one's outputs."""
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    reference: dict[str, Any] | None = None
    for name in names:
        print(f"{name} on {cpu}", file=sys.stderr)
        try:
            if name != "mobileinst":
                make_contestant(name).convert(files, case)
            counts = count_frame(folder, name, cpu, case, files, precision)
            outputs = counts.pop("outputs")
            counts["difference"] = difference(outputs if reference is None else reference, outputs)
            reference = outputs if reference is None else reference
            if counts["difference"] > (TOLERANCE if precision == "fp32" else REDUCED_TOLERANCE):
                raise ValueError(f"its outputs differ by {counts['difference']:.1e}")
            found[name] = counts
        except (ImportError, RuntimeError, ValueError, subprocess.CalledProcessError) as error:
            skipped[name] = str(error)
    return {"cpu": cpu, "results": found, "skipped": skipped}


def format_report(document: dict[str, Any]) -> str:
    """Markdown: a row per core and engine; the ratio is our count over the best other's."""
    rows = []
    for core in document["cores"]:
        results = core["results"]
        others = [x["instructions"] for name, x in results.items() if name != "mobileinst"]
        for name, x in results.items():
            ratio = "-"
            if name == "mobileinst" and others:
                ratio = f"{x['instructions'] / min(others):.2f}"
            millions = [f"{x[key] / 1e6:.0f}" for key in ("instructions", "multiply_adds")]
            rows.append([f"{core['cpu']}, {name}", *millions, ratio])
    text = f"{document['label']}, one frame under qemu-user; {document['date']}; {document['versions']}\n\n"
    text += markdown_table(["core, engine", "M instructions", "M vector multiply-adds", "ours / best"], rows)
    skipped = {(n, why): None for core in document["cores"] for n, why in core["skipped"].items()}
    return text + "".join(f"\nSkipped: {name} ({why}).\n" for name, why in skipped)


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("folder", type=Path, help="what .ci/aarch64 filled")
    parser.add_argument("--engines", nargs="+", default=list(PACKAGES), choices=list(PACKAGES))
    parser.add_argument("--cpus", nargs="+", default=["cortex-a72", "cortex-a76"])
    parser.add_argument("--backbone", default="topformer_b")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=["fp32", "fp16", "int8"],
        help="ours; others have their defaults",
    )
    parser.add_argument("--part", default="masks", choices=["masks", "model", "features"])
    options = parser.parse_args()
    check_outputs(options)
    folder = options.folder.resolve()
    if not (folder / "root" / "usr" / "bin" / "python3.11").exists():
        sys.exit(f"{folder}: no target's Python there; run .ci/aarch64 with this folder first")
    subprocess.run([str(HERE / "build_plugin"), str(folder)], check=True)
    case = Case(options.backbone, options.width, options.size, options.size, options.part, 1)
    files = prepare(case, folder / "networks", None)
    document = make_result(
        "arm",
        label=f"{case.label}, ours {options.precision}",
        versions={name: package_version(*packages) for name, packages in PACKAGES.items() if packages},
        cores=[measure(folder, options.engines, cpu, case, files, options.precision) for cpu in options.cpus],
    )
    text = format_report(document)
    write_result(document, text, options)
    print(text, end="")


if __name__ == "__main__":
    run(main)
