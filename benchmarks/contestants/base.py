"""What a contestant is and what it is given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Outputs = dict[str, Array]

#: Outputs of each part in the order of the ONNX file (weights_tools.export_onnx), whose input is "image".
OUTPUTS = {
    "model": ["class_logits", "objectness_logits", "kernels", "mask_features", "mask_logits"],
    "masks": ["class_logits", "objectness_logits", "kernels", "mask_logits"],
    "features": ["mask_features", "pooled", "x6"],
    "backbone": ["x3", "x4", "x5", "x6"],
}


@dataclass(frozen=True)
class Case:
    """One comparison: the network, the input's size, which part of it, and how many threads.

    ``part`` is "model" (all outputs), "masks" (what a frame needs: all but the mask features), "features"
    (backbone and mask decoder) or "backbone". ``precision`` is what the engine is asked to compute in:
    "fp32", "fp16" or "int8".
    """

    backbone: str
    width: int
    height: int
    image_width: int
    part: str
    threads: int
    precision: str = "fp32"

    @property
    def label(self) -> str:
        """Short text for tables."""
        size = f"{self.height}x{self.image_width}"
        precision = "" if self.precision == "fp32" else f" {self.precision}"
        return f"{self.backbone} w{self.width} {size} {self.part} {self.threads}t{precision}"

    def expect_precision(self, *offered: str) -> None:
        """Raise ValueError unless the precision is one of those."""
        if self.precision not in offered:
            raise ValueError(f"expected precision {' or '.join(offered)}, got {self.precision}")


@dataclass(frozen=True)
class Files:
    """The same network for everyone; engines with a format of their own put it beside the ONNX file."""

    weights: Path
    onnx: Path

    def converted(self, suffix: str) -> Path:
        """Path of the network in another format."""
        return self.onnx.with_suffix(suffix)


def make_once(target: Path, made_by: str, make: Callable[[], None]) -> None:
    """Make a file unless it is there, whole and made by the same versions.

    A file beside it says who made it. It is written last and removed first, so that a conversion cut short is
    done again.

    Raises:
        RuntimeError: if `make` leaves no file.
    """
    marker = target.with_name(f"{target.name}.made_by")
    if target.exists() and marker.exists() and marker.read_text(encoding="utf-8") == made_by:
        return
    marker.unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    make()
    if not target.exists():
        raise RuntimeError(f"{made_by} wrote no {target.name}")
    marker.write_text(made_by, encoding="utf-8")


class Contestant(Protocol):
    """An engine. Each step runs in a process of the contestant's own."""

    def convert(self, files: Files, case: Case) -> None:
        """Write the engine's own format, where it needs one and isn't there yet."""
        ...

    def load(self, files: Files, case: Case) -> None:
        """Make ready to run on ``case.threads`` threads in ``case.precision``.

        Raises:
            ValueError: for a precision that it isn't measured in.
        """
        ...

    def run(self, image: Array) -> Outputs:
        """Outputs by name for a normalised image (3, H, W); shapes may have a leading 1."""
        ...

    def version(self) -> str:
        """Version of the engine."""
        ...


def run_tool(arguments: list[str], folder: Path) -> None:
    """Run a converter; RuntimeError with the end of what it said if it fails."""
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed ({done.returncode}): {(done.stdout + done.stderr)[-800:]}")
