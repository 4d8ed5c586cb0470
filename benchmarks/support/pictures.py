"""Annotated pictures as the network's input: what ranges of integers are taken from, and what AP is of."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants.base import Array, Case, make_once
from mobileinst import _native
from mobileinst.weights import Weights

#: Pictures that ranges of integers are taken from, spread over the set.
CALIBRATED = 16


class Pictures(NamedTuple):
    """Annotations in COCO's format, and the folder of their images."""

    annotations: Path
    images: Path

    def data(self) -> dict[str, Any]:
        """The annotations.

        Raises:
            ValueError: if they name no images.
        """
        data: dict[str, Any] = json.loads(self.annotations.read_text(encoding="utf-8"))
        if not data.get("images"):
            raise ValueError(f"{self.annotations}: expected annotations in COCO's format with images")
        return data

    def digest(self) -> str:
        """Changes with the annotations."""
        return hashlib.sha256(self.annotations.read_bytes()).hexdigest()[:12]

    def calibration(self) -> list[Path]:
        """The pictures that ranges are taken from."""
        names = [image["file_name"] for image in self.data()["images"]]
        chosen = np.linspace(0, len(names) - 1, min(CALIBRATED, len(names))).astype(int)
        return [self.images / names[i] for i in chosen]


def add_options(parser: argparse.ArgumentParser) -> None:
    """--annotations and --images."""
    parser.add_argument("--annotations", type=Path, metavar="A", help="of pictures for int8: COCO's JSON")
    parser.add_argument("--images", type=Path, metavar="D", help="folder of these pictures")


def chosen_pictures(options: argparse.Namespace, *, needed: bool) -> Pictures | None:
    """Those of the options.

    Raises:
        ValueError: if they are needed or given by half and something is missing.
    """
    if options.annotations is not None and options.images is not None:
        return Pictures(options.annotations, options.images)
    if needed or options.annotations is not None or options.images is not None:
        raise ValueError("int8 takes ranges from pictures: expected both of --annotations and --images")
    return None


def network_input(frame: NDArray[np.uint8], case: Case, weights: Weights, *, reverse: bool) -> Array:
    """A picture uint8 (H, W, 3) stretched to the case's size and normalised, float32 (3, h, w).

    Args:
        reverse: the picture's channels come in the reverse of the order that the weights expect.
    """
    builder = _native.PlanBuilder()
    image = builder.tensor(case.height, case.image_width, 3)
    builder.keep(image)
    plan = _native.Plan(builder, _native.ThreadPool(1))
    plan.load_frame(image, frame, list(weights.mean), list(weights.std), reverse)
    return np.asarray(plan.read(image))


def write_calibration(pictures: Pictures, case: Case, weights: Weights, target: Path) -> None:
    """The network's inputs of the pictures that ranges are taken from, float32 (n, 3, h, w), once."""
    from mobileinst.video import read_image

    def make() -> None:
        frames = map(read_image, pictures.calibration())
        reverse = weights.color == "bgr"
        np.save(target, np.stack([network_input(x, case, weights, reverse=reverse) for x in frames]))

    make_once(target, f"{pictures.digest()} {CALIBRATED}", make)
