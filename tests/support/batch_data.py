"""Small videos, weights and calls for the tests of `mobileinst batch`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import mobileinst
from mobileinst.io.png import write_png
from mobileinst.video.writer import VideoWriter
from mobileinst.weights import save_weights
from tests.support.networks import CONFIG, make_metadata
from tests.support.random_weights import random_tensors

#: The package that the tests themselves run, for processes elsewhere.
PACKAGES = str(Path(mobileinst.__file__).parent.parent)


def write_weights(path: Path) -> Path:
    """A tiny random network that sees something in every frame."""
    save_weights(path, random_tensors(CONFIG), make_metadata(score_threshold=0.0))
    return path


def write_video(path: Path, frames: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    with VideoWriter(path, 25) as writer:
        for _ in range(frames):
            writer.write(rng.integers(0, 256, (50, 66, 3), np.uint8))
    return path


def write_pictures(folder: Path, frames: int, seed: int = 0) -> Path:
    """The same pictures in a folder, as 0.png and so on."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(frames):
        write_png(folder / f"{number}.png", rng.integers(0, 256, (50, 66, 3), np.uint8))
    return folder


def copies(video: Path, folder: Path, count: int) -> None:
    """The same video under many names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shutil.copy(video, folder / f"{number}.mp4")


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "mobileinst", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PACKAGES, "RAY_USAGE_STATS_ENABLED": "0"}


def call(*arguments: Any, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment()
    )


def read_summary(output: Path) -> dict[str, dict[str, Any]]:
    """The summary's records by place, once each line was seen to hold one."""
    text = (output / "summary.json").read_text()
    records = json.loads(text)["sources"]
    lines = [line.rstrip(",") for line in text.splitlines() if line.startswith('{"source":')]
    assert [json.loads(line) for line in lines] == records
    return {record["place"]: record for record in records}


def left_over(output: Path) -> list[str]:
    """Files of attempts and partial files that a run should have removed."""
    names = [path.relative_to(output).as_posix() for path in output.rglob("*")]
    return [name for name in names if "partial" in name or "/attempts/" in f"/{name}/"]
