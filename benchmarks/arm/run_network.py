"""Runs one engine on the network a given number of times; count.py starts it under emulation.

python -m benchmarks.arm.run_network ENGINE CASE_JSON WEIGHTS ONNX RUNS OUTPUTS.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import make_contestant
from benchmarks.contestants.base import Case, Files


def main() -> None:
    engine, case_json, weights, onnx, runs, outputs = sys.argv[1:]
    case = Case(**json.loads(case_json))
    contestant = make_contestant(engine)
    contestant.load(Files(Path(weights), Path(onnx)), case)
    generator = np.random.default_rng(7)
    image = generator.standard_normal((3, case.height, case.image_width), dtype=np.float32)
    found: dict[str, Any] = {}
    for _ in range(int(runs)):
        found = contestant.run(image)
    np.savez(outputs, **found)


if __name__ == "__main__":
    main()
