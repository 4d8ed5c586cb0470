"""What a pool of workers is: tasks go in, what becomes of them comes out."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Called by a task at work with its frames done so far, and those it has in all where that is known.
Report = Callable[[int, int | None], None]
#: What a worker does with a task's payload.
Work = Callable[[Any, Report], Any]
#: Makes the work; called once in each worker. Pickled, so a module's function or an instance with `__call__`.
Setup = Callable[[], Work]


class WorkerCrash(RuntimeError):
    """The process that worked at a task died (signal, exit, out of memory), or hung and was ended."""


@dataclass(frozen=True)
class Task:
    """payload: what the work gets; pickled, so small (names, not pixels)."""

    number: int
    payload: Any


@dataclass(frozen=True)
class Progressed:
    """A task at work has done `frames`, of `total` where that is known."""

    task: Task
    frames: int
    total: int | None


@dataclass(frozen=True)
class Finished:
    """A task is done; `value` is what the work returned."""

    task: Task
    value: Any


@dataclass(frozen=True)
class Failed:
    """A task is given up. `error` is what the work raised, or a `WorkerCrash` when all tries ended in one."""

    task: Task
    error: Exception


Event = Progressed | Finished | Failed


def picklable(error: Exception) -> Exception:
    """The exception, or one of its text where it can't be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class Pool(ABC):
    """Workers that each serve one task at a time. A worker that dies takes no other task with it.

    Exceptions of the work are its answer and are not tried again; a task whose worker died is tried again
    in another one, `retries` times, behind all others that wait.
    """

    def __init__(self) -> None:
        self._submitted = 0
        self._waiting: deque[Task] = deque()

    def submit(self, payload: Any) -> Task:
        """Add a task; allowed while `events` runs."""
        task = Task(self._submitted, payload)
        self._submitted += 1
        self._waiting.append(task)
        return task

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """What happens, as it happens, until no task is left.

        Each task ends in one `Finished` or `Failed`.

        Raises:
            Exception: what `setup` raised, since without it no task can be done.
        """

    @abstractmethod
    def close(self) -> None:
        """End all workers, those at work too, which remove the outputs that they began if they still can."""
