"""Contestants in processes of their own, and rounds in which they take turns."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from typing import Any, TextIO

from benchmarks.contestants import parse_entry
from benchmarks.contestants.base import Case, Files

_WORKER = [sys.executable, "-m", "benchmarks.worker"]


class Unavailable(Exception):
    """A contestant can't take part; the text is the reason."""


class Process:
    """One contestant's process.

    Args:
        name: Engine and precision as tables name them, for whole frames with "+" and the post-processing.
        frame: Values of a FrameCase for whole frames, None for the network alone.
        log: File that the engines' own messages go to.
        limit: Seconds that one command may take.
    """

    def __init__(
        self,
        name: str,
        case: Case,
        files: Files,
        *,
        frame: dict[str, Any] | None = None,
        log: TextIO | None = None,
        limit: float = 600.0,
    ) -> None:
        self.name, self._limit = name, limit
        engine, precision = parse_entry(name)
        case = replace(case, precision=precision)
        task: dict[str, Any] = {"name": engine, "case": asdict(case), "frame": frame}
        task["files"] = {kind: str(path) for kind, path in vars(files).items() if path is not None}
        self._process = subprocess.Popen(
            [*_WORKER, json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log or subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, action: str, **values: Any) -> dict[str, Any]:
        """Answer to a command.

        Raises:
            Unavailable: if the contestant fails, is not installed, or takes too long.
        """
        assert self._process.stdin is not None
        try:
            print(json.dumps({"do": action, **values}), file=self._process.stdin, flush=True)
            line = self._lines.get(timeout=self._limit)
        except (OSError, queue.Empty):
            line = ""
        if not line:
            code = self._process.poll()
            self.close()
            end = f"took more than {self._limit:g} s" if code is None else f"its process ended with {code}"
            raise Unavailable(f"{action} failed: {end}")
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:  # it died in the middle of a line
            self.close()
            raise Unavailable(f"{action} failed: its process ended within its answer") from None
        for kind in ("missing", "error"):
            if kind in reply:
                self.close()
                raise Unavailable(("not installed: " if kind == "missing" else "") + reply[kind])
        return reply

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except ValueError:
            pass
        self._lines.put("")


def take_turns(
    processes: list[Process], rounds: int, repeats: int, pause: float = 0.02
) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Wall-clock and processor milliseconds ("ms", "cpu_ms") of every run of each contestant that lasts, and
    the reasons of those that fail, who take no further turns.

    Each round begins with another contestant, so that none is always first.

    Args:
        pause: Seconds between turns, in which the last one's threads stop spinning.
    """
    found: dict[str, dict[str, list[float]]] = {p.name: {"ms": [], "cpu_ms": []} for p in processes}
    failed: dict[str, str] = {}
    for index in range(rounds):
        lasting = [process for process in processes if process.name not in failed]
        start = index % max(len(lasting), 1)
        for process in lasting[start:] + lasting[:start]:
            try:
                reply = process.ask("run", repeats=repeats)
            except Unavailable as error:
                failed[process.name] = str(error)
                del found[process.name]
                continue
            for kind, values in found[process.name].items():
                values += reply[kind]
            time.sleep(pause)
    return found, failed
