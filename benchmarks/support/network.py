"""The network that everyone runs: random or given weights and their ONNX export, made once per folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from contestants.base import Case, Files


def prepare(case: Case, folder: Path, weights: Path | None) -> Files:
    """Weights and ONNX file of a case.

    Args:
        folder: Where files are kept between runs.
        weights: Use these instead of random weights of the case's configuration.

    Raises:
        RuntimeError: if a tool of weights_tools fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if weights is None:
        weights = folder / f"{case.backbone}-w{case.width}.safetensors"
        if not weights.exists():
            _tool("create", case.backbone, str(weights), "--width", str(case.width), "--seed", "0")
    # pnnx names its files by this, with everything but letters and digits as underscores
    name = re.sub(r"\W", "_", f"{weights.stem}_{case.height}x{case.image_width}_{case.part}")
    onnx = folder / f"{name}.onnx"
    if not onnx.exists():
        size = [str(case.height), str(case.image_width)]
        _tool("export_onnx", str(weights), str(onnx), "--size", *size, "--part", case.part)
    return Files(weights, onnx)


def _tool(name: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"weights_tools.{name}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"weights_tools.{name} failed: {(done.stdout + done.stderr)[-1500:]}")
