"""The network that everyone runs: random or given weights and their ONNX export, made once per folder."""

from __future__ import annotations

import hashlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.contestants.base import Case, Files, make_once
from benchmarks.support.machine import package_version


def prepare(case: Case, folder: Path, weights: Path | None) -> Files:
    """Weights and ONNX file of a case.

    Args:
        folder: Where files are kept between runs, as long as weights and tools stay the same.
        weights: Use these instead of random weights of the case's configuration.

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
    return Files(weights, onnx)


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
