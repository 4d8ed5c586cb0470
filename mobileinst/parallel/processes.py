"""A pool of processes of this machine, by `multiprocessing`.

`concurrent.futures.ProcessPoolExecutor` gives up all its tasks when one of its processes dies, and can't end
one that hangs. Here each process has a pipe of its own: its death is the end of that pipe, and costs one try
of one task.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, NoReturn

from .pool import Event, Failed, Finished, Pool, Progressed, Setup, Task, Work, WorkerCrash, picklable

#: Seconds between two reports of a worker.
REPORT_EVERY = 0.25
#: Seconds that a worker gets to start, at least, and to remove its outputs when it is ended.
START, GRACE = 60.0, 5.0
#: Workers in a row that may die before their first task.
STILLBORN = 3

_READY, _UNFIT, _PROGRESS, _FINISHED, _FAILED = range(5)


class _Worker:
    """One process, the driver's end of its pipe, and the task that it has."""

    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # Daemons die with the driver's exit; after its sudden death the pipe's end tells them.
        self.process = context.Process(target=_serve, args=(theirs, setup), daemon=True)
        with _without_interrupts():
            self.process.start()
        theirs.close()
        self.ready = False
        self.task: Task | None = None
        self.heard = time.monotonic()

    def give(self, task: Task) -> None:
        self.task = task
        self.heard = time.monotonic()
        self.connection.send((task.number, task.payload))

    def end(self) -> None:
        """Kill it if it is still there, and forget it."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()
        self.process.close()

    def last_words(self) -> str:
        """How the process ended."""
        self.process.join(GRACE)
        code = self.process.exitcode
        if code is None:
            return "its process closed its pipe"
        if code >= 0:
            return f"its process exited with code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        try:
            return f"its process died of {signal.Signals(-code).name}{hint}"
        except ValueError:
            return f"its process died of signal {-code}"


class ProcessPool(Pool):
    """Up to `jobs` processes, started as tasks come; see `mobileinst.parallel.open_pool`."""

    def __init__(self, setup: Setup, jobs: int, *, retries: int = 0, timeout: float | None = None) -> None:
        super().__init__()
        self._setup = setup
        self._jobs = jobs
        self._retries = retries
        self._timeout = timeout
        self._crashes: dict[int, int] = {}
        self._workers: list[_Worker] = []
        self._stillborn = 0

    def events(self) -> Iterator[Event]:
        while self._waiting or any(worker.task is not None for worker in self._workers):
            self._feed()
            ready = wait([worker.connection for worker in self._workers], timeout=self._patience())
            for worker in [worker for worker in self._workers if worker.connection in ready]:
                yield from self._hear(worker)
            for worker in [worker for worker in self._workers if self._left(worker) <= 0]:
                limit = self._limit(worker)
                yield from self._bury(worker, f"no progress for {limit:g} s")

    def close(self) -> None:
        for worker in self._workers:
            if worker.task is not None:
                worker.process.terminate()
            else:
                # Idle ones leave at the end of their pipe.
                worker.connection.close()
        deadline = time.monotonic() + GRACE
        for worker in self._workers:
            worker.process.join(max(deadline - time.monotonic(), 0))
            worker.end()
        self._workers.clear()
        self._waiting.clear()

    def _feed(self) -> None:
        idle = [worker for worker in self._workers if worker.ready and worker.task is None]
        while self._waiting and idle:
            worker, task = idle.pop(), self._waiting.popleft()
            try:
                worker.give(task)
            except OSError:
                # It died while idle, which is heard next; the task keeps its tries.
                worker.task = None
                self._waiting.appendleft(task)
        starting = sum(not worker.ready for worker in self._workers)
        for _ in range(min(self._jobs - len(self._workers), len(self._waiting) - starting)):
            self._workers.append(_Worker(self._setup))

    def _hear(self, worker: _Worker) -> Iterator[Event]:
        try:
            kind, *content = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(worker, worker.last_words())
            return
        worker.heard = time.monotonic()
        if kind == _READY:
            worker.ready, self._stillborn = True, 0
        elif kind == _UNFIT:
            raise content[0]
        elif worker.task is not None and kind == _PROGRESS:
            yield Progressed(worker.task, *content)
        elif worker.task is not None:
            task, worker.task = worker.task, None
            yield Finished(task, content[0]) if kind == _FINISHED else Failed(task, content[0])

    def _bury(self, worker: _Worker, why: str) -> Iterator[Failed]:
        self._workers.remove(worker)
        worker.end()
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise WorkerCrash(f"workers can't be started: {why}")
        task = worker.task
        if task is None:
            return
        crashes = self._crashes[task.number] = self._crashes.get(task.number, 0) + 1
        if crashes <= self._retries:
            self._waiting.append(task)
        else:
            tries = "" if crashes == 1 else f" in each of {crashes} tries"
            yield Failed(task, WorkerCrash(why + tries))

    def _limit(self, worker: _Worker) -> float:
        """Seconds that a worker may be silent."""
        if (worker.ready and worker.task is None) or self._timeout is None:
            return float("inf")
        return self._timeout if worker.ready else max(self._timeout, START)

    def _left(self, worker: _Worker) -> float:
        return self._limit(worker) - (time.monotonic() - worker.heard)

    def _patience(self) -> float | None:
        """Seconds until the first worker counts as hung."""
        least = min((self._left(worker) for worker in self._workers), default=float("inf"))
        return None if least == float("inf") else max(least, 0.0)


def _serve(connection: Connection, setup: Setup) -> None:
    """A worker's life: tasks from the pipe, answers into it, until it ends."""
    # Ctrl-C, which a terminal sends to all its processes, is the driver's: here it stays blocked.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    signal.signal(signal.SIGTERM, _leave)
    try:
        try:
            work = setup()
        except Exception as error:
            connection.send((_UNFIT, picklable(error)))
            return
        connection.send((_READY,))
        while True:
            _, payload = connection.recv()
            _perform(connection, work, payload)
    except (EOFError, OSError):
        return  # the driver is gone


def _perform(connection: Connection, work: Work, payload: Any) -> None:
    last = time.monotonic()

    def report(frames: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > REPORT_EVERY:
            last = now
            try:
                connection.send((_PROGRESS, frames, total))
            except OSError:
                raise SystemExit from None  # the driver is gone, nobody waits for this task

    try:
        value = work(payload, report)
    except Exception as error:
        connection.send((_FAILED, picklable(error)))
    else:
        connection.send((_FINISHED, value))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    # As an exception, so that outputs which were begun are removed.
    raise SystemExit(0)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started meanwhile inherits that and keeps it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Its start, which the first worker's would bring along, ends with the signal let through.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
