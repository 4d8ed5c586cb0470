"""Measures contestants against each other: first what they compute, then how fast."""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.contestants import is_ours, parse_entry
from benchmarks.contestants.base import Case, Files, Outputs, make_once
from benchmarks.support.machine import commit
from benchmarks.support.pictures import Pictures
from benchmarks.support.processes import Process, Unavailable, take_turns

#: Largest difference that counts as equal, as a share of an output's largest value, or of 1 if that is less.
TOLERANCE = 1e-3

#: Seconds that a conversion may take, with ranges from pictures.
_CONVERSION = 3600.0


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Largest difference over the outputs that both have, relative to each output's largest value or 1.

    Raises:
        ValueError: if they have no output in common, or one of different length or with values that are not
            finite.
    """
    common = [name for name in ours if name in theirs]
    if not common:
        raise ValueError(f"no common output: {sorted(ours)} and {sorted(theirs)}")
    worst = 0.0
    for name in common:
        a, b = np.ravel(ours[name]), np.ravel(theirs[name])
        if a.size != b.size:
            raise ValueError(f"{name} has {b.size} values, {a.size} expected")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):  # max() would pass over NaN
            raise ValueError(f"{name} holds values that are not finite")
        worst = max(worst, float(np.abs(a - b).max()) / max(float(np.abs(a).max()), 1.0))
    return worst


def relative_error(exact: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """Of the last output that both have (the masks, where there are some): the root mean square of what
    differs, as a share of the exact one's."""
    name = [name for name in exact if name in found][-1]
    a, b = np.ravel(exact[name]).astype(np.float64), np.ravel(found[name]).astype(np.float64)
    return float(np.sqrt(np.mean((a - b) ** 2) / max(float(np.mean(a**2)), 1e-30)))


def start(
    names: list[str],
    case: Case,
    files: Files,
    log: TextIO,
    frames: Mapping[str, dict[str, Any]] | None = None,
) -> tuple[list[Process], dict[str, dict[str, Any]], dict[str, str]]:
    """Load every contestant that is there and computes what the first one does.

    What rounding to other precisions changes is told, and leaves nobody out.

    Args:
        frames: Values of a FrameCase for each contestant, for whole frames.

    Returns:
        The processes, what each said on loading with its ``difference`` and ``error``, and the reasons of
        those left out.
    """
    processes: list[Process] = []
    facts: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    reference: Outputs | None = None
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            frame = frames[name] if frames else None
            process = Process(name, case, files, log=log, limit=_CONVERSION)
            try:
                process.ask("convert")
                process.close()
                process = Process(name, case, files, frame=frame, log=log)
                fact = process.ask("load")
                path = Path(folder) / f"{name}.npz"
                process.ask("outputs", path=str(path))
                with np.load(path) as archive:
                    outputs = dict(archive)
                exact = parse_entry(name)[1] == "fp32"
                if not exact:  # the areas of the network's own masks are those of other masks
                    outputs.pop("areas", None)
                reference = outputs if reference is None else reference
                fact["difference"] = difference(reference, outputs)
                fact["error"] = relative_error(reference, outputs)
            except (Unavailable, ValueError) as error:
                skipped[name] = str(error)
                process.close()
                continue
            if fact["difference"] > (0.02 if frames else TOLERANCE) and (exact or frames):
                skipped[name] = f"its outputs differ by {fact['difference']:.1e} of the largest value"
                process.close()
                continue
            processes.append(process)
            facts[name] = fact
    return processes, facts, skipped


def compare(
    names: list[str],
    case: Case,
    files: Files,
    rounds: int,
    log: TextIO,
    *,
    frames: Mapping[str, dict[str, Any]] | None = None,
    label: str = "",
) -> dict[str, Any]:
    """Results of one case: milliseconds (median, min, max), memory, load time for each contestant, and the
    reasons of those that were left out or failed on the way."""
    processes, facts, skipped = start(names, case, files, log, frames)
    try:
        skipped |= take_turns(processes, 1, 2)[1]
        lasting = [process for process in processes if process.name not in skipped]
        print(f"measuring {label or case.label}", file=sys.stderr, flush=True)
        times, failed = take_turns(lasting, rounds, 1)
        print("measured", file=sys.stderr, flush=True)
        skipped |= failed
        results: dict[str, dict[str, Any]] = {}
        for process in lasting:
            if process.name in times:
                try:
                    end = process.ask("quit")
                except Unavailable as error:
                    skipped[process.name] = str(error)
                    continue
                results[process.name] = {**facts[process.name], **summary(times[process.name]), **end}
    finally:
        for process in processes:
            process.close()
    return {"case": asdict(case), "label": label or case.label, "results": results, "skipped": skipped}


def measure_accuracy(
    results: Mapping[str, dict[str, Any]], case: Case, files: Files, log: TextIO, pictures: Pictures
) -> None:
    """Add each contestant's ``ap`` on a set of pictures, which is kept beside the network.

    Raises:
        RuntimeError: if a contestant fails at it.
    """
    for name, result in results.items():
        measure = functools.partial(_accuracy, name, case, files, log, pictures)
        kept = files.converted(f".{name.replace(' ', '-')}.ap")
        write = functools.partial(_write_accuracy, kept, measure)
        made_by = commit() if is_ours(name) else result["version"]
        make_once(kept, f"{made_by} {pictures.digest()}", write)
        result["ap"] = float(kept.read_text(encoding="utf-8"))


def _write_accuracy(path: Path, measure: Callable[[], float]) -> None:
    path.write_text(repr(measure()), encoding="utf-8")


def _accuracy(name: str, case: Case, files: Files, log: TextIO, pictures: Pictures) -> float:
    """In a process of its own, so that the memory that is told holds nothing of it."""
    process = Process(name, case, files, log=log)
    try:
        process.ask("load")
        asked = {"annotations": str(pictures.annotations), "images": str(pictures.images)}
        return float(process.ask("accuracy", **asked)["ap"])
    except Unavailable as error:
        raise RuntimeError(f"{name}: {error}") from None
    finally:
        process.close()


def summary(times: Mapping[str, list[float]]) -> dict[str, float]:
    """What is kept of the milliseconds of all runs."""
    values = times["ms"]
    return {
        "median_ms": statistics.median(values),
        "min_ms": min(values),
        "max_ms": max(values),
        "median_cpu_ms": statistics.median(times["cpu_ms"]),
    }
