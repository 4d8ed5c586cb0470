"""Runs engines for aarch64 under qemu-user and counts what a frame costs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arm.fake_cpu import describe
from benchmarks.contestants.base import Case, Files

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

#: Distributions of each engine on the target; ours comes from the wheel.
PACKAGES = {"mobileinst": [], "onnxruntime": ["onnxruntime"], "ncnn": ["ncnn"], "mnn": ["MNN"]}
#: qemu-user runs these single-threaded engines' pools badly: keep helpers away.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

#: What qemu 7.2, the last of Debian's that counts, is told for cores that it doesn't know: one with the same
#: instructions, or for Neoverse-V1 everything that it has but SVE and SME.
EMULATED = {"cortex-a55": "cortex-a76", "neoverse-v1": "max,sve=off,sme=off"}


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


def emulated(folder: Path, cpu: str, counts: Path) -> list[str]:
    """The beginning of a command line that runs the target's Python on a core and writes counts."""
    root = core_root(folder, cpu)
    plugin = f"{folder / 'count_instructions.so'},out={counts}"
    emulator = ["qemu-aarch64", "-cpu", EMULATED.get(cpu, cpu), "-L", str(root), "-plugin", plugin]
    return [*emulator, str(root / "usr/bin/python3.11")]


def core_root(folder: Path, cpu: str) -> Path:
    """The target's system with a description of that core, in a folder of its own beside other cores'."""
    root = folder / "cores" / cpu
    root.mkdir(parents=True, exist_ok=True)
    for name in ("bin", "etc", "lib", "sbin", "usr"):
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(folder / "root" / name)
    return describe(root, [cpu] * 4)


def environment(*paths: Path) -> dict[str, str]:
    """That of an emulated Python which finds packages in the folders."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MOBILEINST"))}
    return kept | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def count_runs(
    folder: Path, name: str, cpu: str, cases: Sequence[Case], files: Files
) -> Iterator[tuple[dict[str, int], dict[str, Any]] | str]:
    """Counts of the network's second run in each case, and the outputs, or why there are none.

    All cases run in one process, as to start it costs more than a frame. They differ in precision.
    """
    # not in the checkout, whose mobileinst is the host's
    paths = environment(install_peer(folder, name), folder / "site", ROOT)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "counts.txt"
        command = [*emulated(folder, cpu, path), "-m", "benchmarks.arm.run_network", name]
        command += [
            json.dumps([asdict(case) for case in cases]),
            str(files.weights),
            str(files.onnx),
            scratch,
        ]
        done = subprocess.run(
            command, cwd=scratch, env=paths, capture_output=True, text=True, errors="replace"
        )
        end = f"{name} failed under emulation ({done.returncode}): {done.stderr[-600:]}"
        counts = read_counts(path)
        for number, case in enumerate(cases):
            outputs, reason = (Path(scratch) / f"{case.precision}{suffix}" for suffix in (".npz", ".txt"))
            if outputs.exists():
                with np.load(outputs) as archive:
                    yield counts[number], dict(archive)
            else:
                yield reason.read_text(encoding="utf-8") if reason.exists() else end


def read_counts(path: Path) -> list[dict[str, int]]:
    """What the plugin counted between each two marks; without marks, nothing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    marks = [[int(word) for word in line.split()[1:]] for line in lines if line.startswith("mark ")]
    return [
        {"instructions": after[0] - before[0], "multiply_adds": after[1] - before[1]}
        for before, after in zip(marks[::2], marks[1::2], strict=False)
    ]
