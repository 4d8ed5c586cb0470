"""Environments that others have: optimised or strict Python, no home, a package that can't be written to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mobileinst

RUN = "import sys; from mobileinst.cli import main; sys.exit(main())"
TRACK = [
    "track",
    "f.npy",
    "--size",
    "64",
    "--threads",
    "1",
    "--json",
    "o.jsonl",
    "--masks",
    "m",
    "--mots",
    "m.txt",
]


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """A folder like site-packages, which has the package, as installed, and can't be written to."""
    folder = tmp_path / "site"
    ignore = shutil.ignore_patterns("__pycache__", "_testing*")
    for part in reversed(list(mobileinst.__path__)):
        shutil.copytree(part, folder / "mobileinst", ignore=ignore, dirs_exist_ok=True)
    places = [folder, *folder.rglob("*")]
    for place in places:
        place.chmod(place.stat().st_mode & ~0o222)
    yield folder
    for place in places:
        place.chmod(place.stat().st_mode | 0o200)


def state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def run(
    package: Path, flags: list[str], arguments: list[str], environment: dict[str, str | None]
) -> subprocess.CompletedProcess[str]:
    """Run a command line in the folder of the package's folder, where it finds a stack of frames."""
    np.save(package.parent / "f.npy", np.zeros((3, 48, 64, 3), np.uint8))
    # NumPy stays where it is.
    path = os.pathsep.join([str(package), str(Path(np.__file__).parents[1])])
    chosen: dict[str, str | None] = {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, *flags, "-c", RUN, *arguments],
        cwd=package.parent,
        env={name: value for name, value in chosen.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["-OO"], {}),
        (["-W", "error"], {}),
        (["-X", "dev", "-W", "error::ResourceWarning"], {}),
        (["-B", "-s"], {"HOME": None, "TERM": None, "USER": None, "LOGNAME": None}),
        ([], {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"}),
        ([], {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "NO_COLOR": "1"}),
    ],
    ids=["-OO", "-W error", "-X dev", "no HOME", "nowhere to write", "C"],
)
def test_tracking_works_and_writes_to_no_other_place(
    package: Path, flags: list[str], environment: dict[str, str | None]
) -> None:
    before = state(package)
    done = run(package, flags, TRACK, environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (package.parent / "o.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    assert len(os.listdir(package.parent / "m")) == 3
    assert state(package) == before


def test_doctor_in_a_strict_environment(package: Path) -> None:
    done = run(package, ["-OO", "-W", "error"], ["doctor"], {"HOME": None})
    assert (done.returncode, done.stderr) == (0, "")


def test_openmp_settings_are_left_alone(package: Path) -> None:
    code = "import os; before = dict(os.environ); import mobileinst.segmenter, mobileinst.engine; "
    code += "mobileinst.segmenter.Segmenter(size=64); assert dict(os.environ) == before"
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{Path(np.__file__).parents[1]}"}
    environment |= {"OMP_NUM_THREADS": "3"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300)
