"""The network that everyone runs: random or given weights and their ONNX export, made once per folder."""

from __future__ import annotations

import functools
import hashlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.contestants.base import Case, Files, make_once
from benchmarks.support.machine import package_version
from benchmarks.support.pictures import CALIBRATED, Pictures, write_calibration
from mobileinst.weights import load_weights


def prepare(case: Case, folder: Path, weights: Path | None, pictures: Pictures | None = None) -> Files:
    """Weights and ONNX file of a case, and what integers are calibrated by.

    Args:
        folder: Where files are kept between runs, as long as weights and tools stay the same.
        weights: Use these instead of random weights of the case's configuration.
        pictures: What ranges of integers are taken from, but for those that the weights have.

    Raises:
        RuntimeError: if a tool of weights_tools fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_by = tools_digest()
    if weights is None:
        weights = random = folder / f"{case.backbone}-w{case.width}.safetensors"
        options = ["--width", str(case.width), "--seed", "0"]
        make_once(random, made_by, lambda: _tool("create", case.backbone, str(random), *options))
    onnx = folder / f"{_name(weights, made_by, case)}.onnx"
    command = [
        str(weights),
        str(onnx),
        "--size",
        str(case.height),
        str(case.image_width),
        "--part",
        case.part,
    ]
    make_once(onnx, made_by, lambda: _tool("export_onnx", *command))
    if pictures is None:
        return Files(weights, onnx)
    loaded = load_weights(weights)
    calibration = onnx.with_name(f"{onnx.stem}_{pictures.digest()}.npy")
    write_calibration(pictures, case, loaded, calibration)
    quantised = None
    if not loaded.ranges:
        quantised = folder / f"{weights.stem}-{pictures.digest()}.int8.safetensors"
        make_once(quantised, made_by, functools.partial(write_ranges, weights, quantised, pictures))
    return Files(weights, onnx, quantised, calibration)


def write_ranges(weights: Path, target: Path, pictures: Pictures) -> None:
    """Random weights with ranges for int8 of all nodes.

    Raises:
        RuntimeError: if weights_tools.quantise fails.
    """
    options = ["--annotations", str(pictures.annotations), "--images", str(pictures.images), "--no-ap"]
    # Random weights have no AP that fine maps could cost, and the other engines round these, too.
    _tool("quantise", str(weights), str(target), *options, "--count", str(CALIBRATED), "--finest", "1")


def _name(weights: Path, made_by: str, case: Case) -> str:
    """Name of the exported network and, with other endings, of what the engines convert it to.

    It changes with the content of the weights and with the tools, so that no engine runs another network.
    """
    digest = hashlib.sha256(weights.read_bytes() + made_by.encode()).hexdigest()[:12]
    # pnnx names its files by this, with everything but letters and digits as underscores
    return re.sub(r"\W", "_", f"{weights.stem}_{digest}_{case.height}x{case.image_width}_{case.part}")


def tools_digest() -> str:
    """Changes with the code and the versions that make random weights, export and convert networks."""
    digest = hashlib.sha256()
    for package in ("weights_tools", "mobileinst.network", "benchmarks.contestants"):
        folder = Path(importlib.import_module(package).__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    digest.update(f"{package_version('torch')} {package_version('onnx')}".encode())
    return digest.hexdigest()[:12]


def _tool(name: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"weights_tools.{name}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"weights_tools.{name} failed: {(done.stdout + done.stderr)[-1500:]}")
