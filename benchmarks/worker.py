"""Process of one contestant: reads one JSON command a line, answers with one JSON line each.

Started by `peers` and `frame`. Commands: {"do": "convert"}, {"do": "load"}, {"do": "outputs", "path": P},
{"do": "run", "repeats": N}, {"do": "accuracy", "annotations": A, "images": D}, {"do": "quit"}. A failure is
answered by {"error": text} or, where the engine is not installed, {"missing": text}, and ends the process.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.contestants import CONTESTANTS, INSTALL, make_contestant
from benchmarks.contestants.base import Case, Files
from benchmarks.pipeline import FrameCase, make_pipeline


def make_image(case: Case, files: Files) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The normalised image that every contestant sees, the same in each process: the first of the pictures
    that ranges are from, or unit noise."""
    if files.calibration is not None:
        return np.array(np.load(files.calibration, mmap_mode="r")[0])
    generator = np.random.default_rng(7)
    return generator.standard_normal((3, case.height, case.image_width), dtype=np.float32)


def memory(field: str) -> float:
    """VmHWM (peak) or VmRSS of this process in MiB; 0 where the system doesn't tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


class Worker:
    """Holds the contestant between commands."""

    run_once: Callable[[], object]
    run_exactly: Callable[[], dict[str, Any]]

    def __init__(self, name: str, case: Case, files: Files, frame: FrameCase | None) -> None:
        self.name, self.case, self.files, self.frame = name, case, files, frame
        self.image = make_image(case, files)
        self.before = memory("VmRSS")  # with NumPy, but without any engine: mobileinst is one
        self.stages: dict[str, list[float]] = {}

    def convert(self) -> dict[str, Any]:
        make_contestant(self.name).convert(self.files, self.case)
        return {}

    def load(self) -> dict[str, Any]:
        """Import and load; processor time of the latter too, since files and other work delay it."""
        start = time.perf_counter()
        contestant = self.contestant = make_contestant(self.name)
        imported, busy = time.perf_counter(), time.process_time()
        if self.frame is None:
            contestant.load(self.files, self.case)
            self.run_once = self.run_exactly = lambda: contestant.run(self.image)
        else:
            pipeline = make_pipeline(self.name, contestant, self.files, self.case, self.frame)
            self.run_once, self.stages = pipeline.run, pipeline.stages
            self.run_exactly = pipeline.outputs
        loaded = time.perf_counter()
        return {
            "version": contestant.version(),
            "import_ms": (imported - start) * 1e3,
            "load_ms": (loaded - imported) * 1e3,
            "load_cpu_ms": (time.process_time() - busy) * 1e3,
        }

    def accuracy(self, annotations: str, images: str) -> dict[str, Any]:
        """AP on a set of pictures, after load()."""
        from benchmarks.support.accuracy import average_precision

        found = average_precision(self.contestant, self.case, self.files, Path(annotations), Path(images))
        return {"ap": found}

    def outputs(self, path: str) -> dict[str, Any]:
        np.savez(path, **self.run_exactly())
        return {}

    def run(self, repeats: int) -> dict[str, Any]:
        """Wall-clock time of each run, and processor time of all threads together."""
        milliseconds, processor = [], []
        for _ in range(repeats):
            start, busy = time.perf_counter(), time.process_time()
            self.run_once()
            processor.append((time.process_time() - busy) * 1e3)
            milliseconds.append((time.perf_counter() - start) * 1e3)
        return {"ms": milliseconds, "cpu_ms": processor}

    def quit(self) -> dict[str, Any]:
        """Peak memory, that beyond the interpreter with NumPy before the engine was imported, and stages."""
        stages = {name: statistics.median(values) for name, values in self.stages.items()}
        return {"peak_mib": memory("VmHWM"), "beyond_mib": memory("VmHWM") - self.before, "stages": stages}


def serve(worker: Worker, replies: TextIO) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        action = command.pop("do")
        try:
            reply = getattr(worker, action)(**command)
        except ImportError as error:
            how = INSTALL.get(error.name or "", CONTESTANTS[worker.name].install)
            reply = {"missing": f"{error}; {how}"}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:1000]}
        print(json.dumps(reply), file=replies, flush=True)
        if action == "quit" or "missing" in reply or "error" in reply:
            return


def main() -> None:
    # Engines print to standard output as they like: keep it for the replies and send the rest to stderr.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.argv[1])
    files = Files(**{name: Path(path) for name, path in task["files"].items()})
    frame = FrameCase(**task["frame"]) if task.get("frame") else None
    serve(Worker(task["name"], Case(**task["case"]), files, frame), replies)


if __name__ == "__main__":
    main()
