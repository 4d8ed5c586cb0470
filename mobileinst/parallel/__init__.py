"""Many tasks over several processes or machines, for `mobileinst batch` and `mobileinst eval`.

Modules: :mod:`.pool` (what a pool is, tasks and what becomes of them), :mod:`.processes` (processes of this
machine, standard library only), :mod:`.cluster` (a Ray cluster) and :mod:`.watchdog` (ends a process that
hangs).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .pool import Event, Failed, Finished, Pool, Progressed, Setup, Task, WorkerCrash
from .processes import ProcessPool


@contextmanager
def open_pool(
    setup: Setup,
    *,
    jobs: int,
    threads: int = 1,
    ray: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
) -> Iterator[Pool]:
    """A pool of `jobs` processes of this machine, or with `ray` (auto, local or an address) of a Ray cluster.

    Args:
        setup: makes what a worker does with a task, once in each worker.
        jobs: processes; on a cluster the tasks at work together at most, 0 for as many as it takes.
        threads: processors that a worker uses, which a cluster reserves.
        retries: how often a task is tried again after its worker died.
        timeout: seconds without a sign of progress after which a worker counts as hung.

    Raises:
        ImportError: with `ray`, where Ray is missing.
        ConnectionError: with `ray`, where no cluster answers.
    """
    pool: Pool
    if ray is None:
        pool = ProcessPool(setup, jobs, retries=retries, timeout=timeout)
    else:
        from .cluster import RayPool

        pool = RayPool(setup, ray, jobs=jobs, threads=threads, retries=retries, timeout=timeout)
    try:
        yield pool
    finally:
        pool.close()


__all__ = [
    "Event",
    "Failed",
    "Finished",
    "Pool",
    "ProcessPool",
    "Progressed",
    "Setup",
    "Task",
    "WorkerCrash",
    "open_pool",
]
