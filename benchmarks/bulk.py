"""Throughput of `mobileinst batch`: one thread in each of N processes against N threads in one, memory of a
worker, and what a source costs a pool of processes and a Ray cluster besides its tracking.

The configurations take turns round by round, on copies of the same clips. Throughput counts the time that
workers spend on sources, from opening one to its last output: neither their start nor the run's end counts.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.command import check_outputs, make_parser, positive, run
from benchmarks.support.results import make_result, markdown_table, write_result
from mobileinst.batch import Options, Workers, find_sources, run_batch
from mobileinst.engine import default_threads
from mobileinst.parallel import Finished, open_pool
from mobileinst.parallel.pool import Report
from mobileinst.video import VideoWriter, open_source
from mobileinst.weights import load_weights


def nothing(payload: Any, report: Report) -> Any:
    """The work of a task that only costs what its pool does."""
    return payload


def nothing_setup() -> Callable[[Any, Report], Any]:
    return nothing


def make_clips(videos: Sequence[Path], folder: Path, frames: int, count: int) -> list[Path]:
    """The first frames of each video, so often that there are `count` clips."""
    folder.mkdir()
    clips: list[Path] = []
    for number in range(count):
        clip = folder / f"{number}.mp4"
        if number < len(videos):
            source = open_source(videos[number])
            with VideoWriter(clip, source.rate) as writer:
                for _, frame in zip(range(frames), source, strict=False):
                    writer.write(frame.image, frame.time)
        else:
            shutil.copy(clips[number % len(videos)], clip)
        clips.append(clip)
    return clips


def throughput(clips: Path, jobs: int, threads: int, options: Options) -> dict[str, float]:
    """Frames/s of all workers together, processor time of a frame, and the greatest memory (MiB) of one."""
    with tempfile.TemporaryDirectory() as output:
        sources = find_sources([str(clips)], Path(output))
        start = time.perf_counter()
        report = run_batch(sources, Path(output), load_weights(), options, Workers(jobs, threads))
        wall = time.perf_counter() - start
    frames = sum(record["frames"] for record in report.records)
    seconds = sum(record["seconds"] for record in report.records)
    memory = max(record["peak_memory"] for record in report.records)
    processor = sum(record["processor_seconds"] for record in report.records)
    return {
        "rate": jobs * frames / seconds,
        "processor_ms": 1000 * processor / frames,
        "wall": wall,
        "memory": memory / 2**20,
    }


def overhead(ray: str | None, jobs: int, tasks: int) -> dict[str, float]:
    """Seconds until a pool's first task is done, and milliseconds for each task after that."""
    start = time.perf_counter()
    with open_pool(nothing_setup, jobs=jobs if ray is None else 0, ray=ray) as pool:
        for number in range(tasks):
            pool.submit(number)
        ends = [time.perf_counter() for event in pool.events() if isinstance(event, Finished)]
    return {"start": ends[0] - start, "each": 1000 * (ends[-1] - ends[0]) / (len(ends) - 1)}


def main() -> None:
    parser = make_parser(__doc__, outputs=True)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=positive, default=60, help="of each clip (60)")
    parser.add_argument("--clips", type=positive, default=8, help="number of clips (8)")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--mp4", action="store_true", help="write videos, too")
    parser.add_argument("--ray", metavar="ADDRESS", help="measure what tasks cost on this cluster, too")
    parser.add_argument("--tasks", type=positive, default=500, help="empty tasks for that (500)")
    options = parser.parse_args()
    check_outputs(options)

    processors = default_threads()
    configurations = sorted({(1, 1), (processors, 1), (1, processors)})
    chosen = Options(("json", "video") if options.mp4 else ("json",))
    runs: dict[tuple[int, int], list[dict[str, float]]] = {each: [] for each in configurations}
    with tempfile.TemporaryDirectory() as folder:
        make_clips(options.videos, Path(folder) / "clips", options.frames, options.clips)
        for number in range(options.rounds):
            turn = number % len(configurations)
            for each in configurations[turn:] + configurations[:turn]:
                runs[each].append(throughput(Path(folder) / "clips", *each, chosen))
    base = statistics.median(run["rate"] for run in runs[1, 1])
    rows = []
    for (jobs, threads), measured in runs.items():
        rates = [run["rate"] for run in measured]
        rate, memory = statistics.median(rates), max(run["memory"] for run in measured)
        row: list[object] = [f"{jobs} x {threads}", f"{rate:.1f}", f"{min(rates):.1f}..{max(rates):.1f}"]
        processor = statistics.median(run["processor_ms"] for run in measured)
        rows.append([*row, f"{rate / base:.2f}", f"{processor:.1f}", f"{memory:.0f}"])
    header = ["processes x threads", "frames/s", "range", "ratio", "processor ms a frame", "MiB each"]
    table = markdown_table(header, rows)
    pools = {"processes": overhead(None, processors, options.tasks)}
    if options.ray is not None:
        pools["Ray"] = overhead(options.ray, processors, options.tasks)
    costs = [[name, f"{cost['start']:.2f}", f"{cost['each']:.2f}"] for name, cost in pools.items()]
    table += "\n" + markdown_table(["pool", "s to the first task", "ms for each further"], costs)
    print(table)
    named = {f"{jobs}x{threads}": measured for (jobs, threads), measured in runs.items()}
    write_result(make_result("bulk", throughput=named, pools=pools), table, options)


if __name__ == "__main__":
    run(main)
