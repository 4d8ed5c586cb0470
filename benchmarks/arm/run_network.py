"""Runs one engine on the network in several precisions, twice each, the second time between marks.

    python -m benchmarks.arm.run_network ENGINE CASES_JSON WEIGHTS ONNX FOLDER

count.py starts it under emulation. Outputs go to FOLDER/PRECISION.npz, or to PRECISION.txt why there are
none.
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


_made = 0


def mark() -> None:
    """Have the plugin write down what it has counted."""
    global _made
    _made += 1
    with contextlib.suppress(OSError):
        os.close(MARK)


def measure(engine: str, case: Case, files: Files, outputs: Path) -> None:
    """Run the network twice; the second run's outputs go to a file."""
    contestant = make_contestant(engine)
    contestant.load(files, case)
    generator = np.random.default_rng(7)
    image = generator.standard_normal((3, case.height, case.image_width), dtype=np.float32)
    contestant.run(image)  # the first run may still prepare things
    mark()
    found: dict[str, Any] = {**contestant.run(image)}
    mark()
    np.savez(outputs, **found)


def main() -> None:
    engine, cases, weights, onnx, folder = sys.argv[1:]
    for number, values in enumerate(json.loads(cases), 1):
        case, place = Case(**values), Path(folder) / values["precision"]
        try:
            measure(engine, case, Files(Path(weights), Path(onnx)), place.with_suffix(".npz"))
        except Exception as error:  # whatever an engine raises: its other precisions are still run
            place.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
            while _made < 2 * number:  # two for each case, whatever became of it
                mark()


if __name__ == "__main__":
    main()
