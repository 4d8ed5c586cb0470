"""The pool of processes: each task ends once, and a worker that dies or hangs takes no other task with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mobileinst.parallel import Failed, Finished, ProcessPool, Progressed, WorkerCrash, open_pool
from mobileinst.parallel.watchdog import Watchdog
from tests.support import pool_work

PACKAGES = sys.path


def run(payloads: Sequence[Any], jobs: int = 2, **options: Any) -> list[Finished | Failed]:
    """How each task ended, in their order."""
    with open_pool(pool_work.setup, jobs=jobs, **options) as pool:
        for payload in payloads:
            pool.submit(payload)
        ends = [event for event in pool.events() if not isinstance(event, Progressed)]
    assert sorted(end.task.number for end in ends) == list(range(len(payloads)))
    return sorted(ends, key=lambda end: end.task.number)


def test_values_and_exceptions_come_back() -> None:
    ends = run([("square", 3), ("raise", KeyError("x")), ("raise two",), ("square", 4)])
    assert isinstance(ends[0], Finished)
    assert ends[0].value == 9
    assert isinstance(ends[1], Failed)
    assert isinstance(ends[1].error, KeyError)
    assert isinstance(ends[2], Failed)
    assert str(ends[2].error) == "TwoArguments: ab"
    assert isinstance(ends[3], Finished)
    assert ends[3].value == 16


def test_a_worker_is_set_up_once() -> None:
    ends = run([("worker",)] * 6, jobs=2)
    made = {end.value for end in ends if isinstance(end, Finished)}
    assert 1 <= len(made) <= 2


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (("signal", signal.SIGSEGV), "its process died of SIGSEGV"),
        (("signal", signal.SIGKILL), "its process died of SIGKILL (out of memory?)"),
        (("exit", 7), "its process exited with code 7"),
    ],
)
def test_a_crash_costs_its_own_task_only(payload: tuple[Any, ...], text: str) -> None:
    ends = run([("square", 1), payload, *[("square", i) for i in range(5)]], retries=0)
    assert isinstance(ends[1], Failed)
    assert isinstance(ends[1].error, WorkerCrash)
    assert str(ends[1].error) == text
    assert [end.value for end in ends if isinstance(end, Finished)] == [1, 0, 1, 4, 9, 16]


def test_a_crash_is_tried_again(tmp_path: Path) -> None:
    ends = run([("first time", str(tmp_path / "seen")), ("exit", 1), ("square", 2)], retries=2)
    assert isinstance(ends[0], Finished)
    assert ends[0].value == "second"
    assert isinstance(ends[1], Failed)
    assert str(ends[1].error).endswith("code 1 in each of 3 tries")


def test_a_task_that_hangs_is_ended() -> None:
    start = time.monotonic()
    ends = run([("hang",), ("steps", 0.3), ("square", 2)], timeout=1.5)
    assert isinstance(ends[0], Failed)
    assert str(ends[0].error) == "no progress for 1.5 s"
    # Slower than the limit as a whole, but it goes on all the time.
    assert isinstance(ends[1], Finished)
    assert ends[1].value == "stepped"
    assert time.monotonic() - start < 60


def test_progress_is_told() -> None:
    with open_pool(pool_work.setup, jobs=1) as pool:
        pool.submit(("steps", 0.1))
        events = list(pool.events())
    steps = [event for event in events if isinstance(event, Progressed)]
    assert steps
    assert all(event.total == 10 and 0 <= event.frames < 10 for event in steps)


def test_tasks_may_follow_from_others() -> None:
    values = []
    with open_pool(pool_work.setup, jobs=2) as pool:
        pool.submit(("square", 3))
        for event in pool.events():
            assert isinstance(event, Finished)
            values.append(event.value)
            if event.value < 1000:
                pool.submit(("square", event.value))
    assert values == [9, 81, 6561]


def test_a_setup_that_fails_ends_the_run() -> None:
    with open_pool(pool_work.bad_setup, jobs=2) as pool:
        pool.submit(("square", 1))
        with pytest.raises(ValueError, match="no weights"):
            list(pool.events())


def test_workers_that_die_at_their_start_end_the_run() -> None:
    with open_pool(pool_work.deadly_setup, jobs=1) as pool:
        pool.submit(("square", 1))
        with pytest.raises(WorkerCrash, match=r"can't be started: its process exited with code 3"):
            list(pool.events())


def test_closing_ends_tasks_at_work() -> None:
    pool = ProcessPool(pool_work.setup, 2)
    pool.submit(("steps", 30))
    pool.submit(("worker",))
    events = pool.events()
    while not isinstance(next(events), Finished):
        pass
    pids = [worker.process.pid for worker in pool._workers]
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 20
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_leave_when_their_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        "from tests.support import pool_work\n"
        "from mobileinst.parallel import open_pool\n"
        "if __name__ == '__main__':\n"
        "    with open_pool(pool_work.setup, jobs=1) as pool:\n"
        "        pool.submit(('worker',))\n"
        "        pool.submit(('steps', 0.3))\n"
        "        for event in pool.events():\n"
        "            print(getattr(event, 'value', [0, 0])[1], flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)}
    driver = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.communicate()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize("steps", [0, 6])
def test_watchdog_ends_what_hangs(steps: int) -> None:
    program = (
        "import sys, time\n"
        "from mobileinst.parallel.watchdog import Watchdog\n"
        "with Watchdog(1.0) as watchdog:\n"
        f"    for _ in range({steps}):\n"
        "        time.sleep(0.3)\n"
        "        watchdog.alive()\n"
        "    print('alive', flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=50
    )
    assert done.returncode == 1
    assert done.stdout == "alive\n"
    assert "Timeout" in done.stderr
    assert "line" in done.stderr


def test_watchdog_without_a_limit_does_nothing() -> None:
    with Watchdog(None) as watchdog:
        watchdog.alive()
