"""What a contestant is and what it is given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
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


#: What engines may be asked to compute in; "auto" is what ours takes by itself.
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "auto")

#: Images of noise that ranges of 8-bit integers are taken from where there are no pictures.
_NOISE = 8


@dataclass(frozen=True)
class Case:
    """One comparison: the network, the input's size, which part of it, and how many threads.

    ``part`` is "model" (all outputs), "masks" (what a frame needs: all but the mask features), "features"
    (backbone and mask decoder) or "backbone". ``precision`` is what the engine is asked to compute in, one of
    PRECISIONS.
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
    """The same network for everyone; engines with a format of their own put it beside the ONNX file.

    Attributes:
        quantised: The same weights with ranges for our 8-bit integers; None where the weights have them.
        calibration: Pictures as float32 (n, 3, h, w), normalised (.npy), that ranges are taken from.
    """

    weights: Path
    onnx: Path
    quantised: Path | None = None
    calibration: Path | None = None

    def converted(self, suffix: str) -> Path:
        """Path of the network in another format."""
        return self.onnx.with_suffix(suffix)

    def own_weights(self, precision: str) -> Path:
        """The weights that we run in a precision."""
        return self.quantised if self.quantised and precision in ("int8", "auto") else self.weights

    def calibration_images(self, case: Case) -> Iterator[Array]:
        """Images (1, 3, h, w) to take ranges from: the pictures, or noise where there are none."""
        if self.calibration is not None:
            yield from (picture[None] for picture in np.load(self.calibration, mmap_mode="r"))
            return
        generator = np.random.default_rng(11)
        for _ in range(_NOISE):
            yield generator.standard_normal((1, 3, case.height, case.image_width), dtype=np.float32)


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


def run_tool(arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a converter, with more in its environment.

    Raises:
        RuntimeError: with the end of what it said, if it fails.
    """
    done = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed ({done.returncode}): {(done.stdout + done.stderr)[-800:]}")
