"""What limits a batch on many machines: a simulation of clips handed out, and what storage must give.

Clips have log-normal lengths. Each goes to the worker that is free first; `split` cuts longer ones into
pieces, which costs an overlap for each piece but the first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from benchmarks.support.command import make_parser, run
from benchmarks.support.results import markdown_table


def lengths(clips: int, mean: float, spread: float, seed: int) -> list[float]:
    """Seconds of video of each clip: log-normal, of the given mean; spread is the logarithm's deviation."""
    rng = np.random.default_rng(seed)
    drawn = rng.lognormal(np.log(mean) - spread**2 / 2, spread, clips)
    return [float(length) for length in drawn]


def pieces(clips: Sequence[float], split: float | None, overlap: float) -> list[float]:
    """Seconds of video of each task, overlaps included."""
    if split is None:
        return list(clips)
    tasks = []
    for length in clips:
        number = max(int(length // split), 1) if length >= 1.5 * split else 1
        tasks += [length / number + (overlap if i else 0) for i in range(number)]
    return tasks


def makespan(tasks: Sequence[float], workers: int, start: float) -> float:
    """Seconds until the last task is done: each goes to the worker that is free first, in the given order."""
    free = [start] * workers
    for task in tasks:
        heapq.heappush(free, heapq.heappop(free) + task)
    return max(free)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--cores", type=int, default=16, help="of each machine (16)")
    parser.add_argument("--rate", type=float, default=25.0, help="frames/s of a core (25)")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--mean", type=float, default=300.0, help="mean seconds of a clip (300)")
    parser.add_argument("--spread", type=float, default=1.2, help="deviation of the lengths' logarithm (1.2)")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--megabits", type=float, default=5.0, help="of a second of video (5)")
    parser.add_argument("--start", type=float, default=5.0, help="seconds until a worker is ready (5)")
    parser.add_argument(
        "--dispatch", type=float, default=2.0, help="milliseconds of the driver for a task (2)"
    )
    parser.add_argument("--split", type=float, default=120.0, help="seconds of a piece (120)")
    parser.add_argument("--overlap", type=float, default=0.1, help="seconds of an overlap (0.1)")
    options = parser.parse_args()

    slowness = options.fps / options.rate  # seconds of work for one of video
    clips = lengths(options.clips, options.mean, options.spread, 0)
    print(f"{sum(clips) / 3600:.0f} h of video, longest {max(clips) / 60:.0f} min\n")
    rows = []
    for machines in options.machines:
        workers = machines * options.cores
        ideal = slowness * sum(clips) / workers
        row: list[object] = [machines, workers, f"{ideal / 60:.1f}"]
        for tasks in (
            clips,
            sorted(clips, reverse=True),
            sorted(pieces(clips, options.split, options.overlap), reverse=True),
        ):
            row.append(f"{makespan([slowness * task for task in tasks], workers, options.start) / 60:.1f}")
        row.append(f"{workers * options.megabits / 8 / slowness:.0f}")
        row.append(f"{100 * options.dispatch / 1000 * len(clips) / ideal:.2f} %")
        rows.append(row)
    header = ["machines", "workers", "ideal min", "any order", "longest first", "split, longest first"]
    print(markdown_table([*header, "reads MB/s", "driver busy"], rows))


if __name__ == "__main__":
    run(main)
