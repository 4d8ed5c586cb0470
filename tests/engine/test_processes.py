"""Processes that end or fork while another thread is inside the engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

SETUP = """
import os, threading, time
import numpy as np
from mobileinst import Segmenter

segmenter = Segmenter(size=64, threads={threads})
frame = np.zeros((48, 64, 3), np.uint8)

def loop():
    while True:
        segmenter.segment(frame)

def tracks():
    def frames():
        while True:
            yield frame
    for _ in segmenter.track(frames(), keyframe_every=1):
        pass

for target in (loop, tracks):
    threading.Thread(target=target, daemon=True).start()
time.sleep(0.2)
"""

FORK = """
for _ in range(5):
    child = os.fork()
    if child == 0:
        for _ in range(3):
            segmenter.segment(frame)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print("worked")
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_exit_while_daemon_threads_work(threads: int) -> None:
    for _ in range(4):
        done = run(SETUP.format(threads=threads))
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_works_while_the_parents_threads_do(threads: int) -> None:
    done = run(SETUP.format(threads=threads) + FORK)
    assert (done.returncode, done.stdout) == (0, "worked\n"), done.stderr
