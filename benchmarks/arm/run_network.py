"""Runs one engine on the network twice, the second time between marks; count.py starts it under emulation.

python -m benchmarks.arm.run_network ENGINE CASE_JSON WEIGHTS ONNX OUTPUTS.npz
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import make_contestant
from benchmarks.contestants.base import Case, Files

#: No file has this number: closing it does nothing, but is seen by count_instructions.c.
MARK = -4242


def mark() -> None:
    """Have the plugin write down what it has counted."""
    with contextlib.suppress(OSError):
        os.close(MARK)


def main() -> None:
    engine, case_json, weights, onnx, outputs = sys.argv[1:]
    case = Case(**json.loads(case_json))
    contestant = make_contestant(engine)
    contestant.load(Files(Path(weights), Path(onnx)), case)
    generator = np.random.default_rng(7)
    image = generator.standard_normal((3, case.height, case.image_width), dtype=np.float32)
    contestant.run(image)  # the first run may still prepare things
    mark()
    found: dict[str, Any] = {**contestant.run(image)}
    mark()
    np.savez(outputs, **found)


if __name__ == "__main__":
    main()
