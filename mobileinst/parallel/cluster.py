"""A pool on a Ray cluster, one task of the pool a task of Ray.

Ray places the tasks, starts the processes, notices nodes and processes that die, and runs their tasks again.
A process serves many tasks and calls `setup` for the first.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

from .. import __version__
from ..io.extras import import_extra
from .pool import Event, Failed, Finished, Pool, Setup, Task, Work, WorkerCrash, picklable
from .watchdog import Watchdog

#: Tasks handed to Ray at a time: enough for thousands of processors, few enough to be waited for cheaply.
WINDOW = 2000
#: Bytes of memory that a task states, so that Ray puts no more on a node than fit: a worker with its weights
#: and plans, a decoder and an encoder (docs/bulk.md).
MEMORY = 512 << 20

#: What each process made by `setup`: one entry, of the pool that it last served.
_made: dict[str, Work] = {}


def import_ray() -> Any:
    """Ray; ImportError that names the extra where it is missing."""
    # A run of this project reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return import_extra("ray", "a cluster needs Ray", "ray")


class RayPool(Pool):
    """Tasks on a Ray cluster; see `mobileinst.parallel.open_pool`.

    Args:
        address: ``local`` for a cluster of this machine for the life of the pool, ``auto`` for the one that
            runs here or that ``RAY_ADDRESS`` names, or an address.
        jobs: most tasks at work together, 0 for as many as the cluster has processors for.
    """

    def __init__(
        self,
        setup: Setup,
        address: str,
        *,
        jobs: int = 0,
        threads: int = 1,
        retries: int = 0,
        timeout: float | None = None,
    ) -> None:
        super().__init__()
        self._ray = import_ray()
        self._connect(address, jobs * threads)
        self._window = jobs or WINDOW
        self._timeout = timeout
        self._running: dict[Any, Task] = {}
        self._pool = secrets.token_hex(8)
        # Once into each node's object store; the tasks carry its reference.
        self._setup = self._ray.put(setup)
        self._perform = self._ray.remote(num_cpus=threads, memory=MEMORY, max_retries=retries)(_perform)

    def _connect(self, address: str, processors: int) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False}
        if address == "local":
            options |= {"address": "local", "num_cpus": processors or None}
        else:
            options = {"log_to_driver": False, "address": address}
        try:
            self._ray.init(logging_level="ERROR", **options)
        except Exception as error:  # a node that starts too slowly raises just that
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConnectionError(f"no Ray cluster at {address!r}: {reason}") from None

    def events(self) -> Iterator[Event]:
        """As Pool.events; what a task does before its end is not told."""
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._window:
                self._start(self._waiting.popleft())
            running = list(self._running)
            # First until one is done, then all that are.
            self._ray.wait(running, num_returns=1)
            ready, _ = self._ray.wait(running, num_returns=len(running), timeout=0)
            for reference in ready:
                yield self._end(reference)

    def close(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        self._waiting.clear()
        self._ray.shutdown()

    def _start(self, task: Task) -> None:
        reference = self._perform.remote(self._pool, [self._setup], task.payload, self._timeout, __version__)
        self._running[reference] = task

    def _end(self, reference: Any) -> Finished | Failed:
        task = self._running.pop(reference)
        try:
            good, value = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()
            hung = f", or made no progress for {self._timeout:g} s" if self._timeout is not None else ""
            kind = type(error).__name__
            text = f"its process died{hung} ({kind}: {reason[0] if reason else 'no reason given'})"
            return Failed(task, WorkerCrash(text))
        if good:
            return Finished(task, value)
        kind, raised = value
        if kind == "setup":
            raise raised
        return Failed(task, raised)


def _perform(
    pool: str, setup: list[Any], payload: Any, timeout: float | None, version: str
) -> tuple[bool, Any]:
    """One task in one of the cluster's processes: (True, value), or (False, (what failed, the exception))."""
    if version != __version__:
        error = RuntimeError(f"a node has mobileinst {__version__}, the driver {version}")
        return False, ("setup", error)
    with Watchdog(timeout) as watchdog:
        try:
            if pool not in _made:
                _made.clear()
                _made[pool] = import_ray().get(setup[0])()
        except Exception as error:
            return False, ("setup", picklable(error))
        watchdog.alive()
        try:
            return True, _made[pool](payload, lambda frames, total: watchdog.alive())
        except Exception as error:
            return False, ("work", picklable(error))
