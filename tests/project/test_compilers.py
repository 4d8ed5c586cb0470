"""The sources compile with Clang for aarch64, as on Termux; elsewhere the tests build them with GCC only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

SOURCES = ROOT / "src/cpp"
CROSS = Path("/usr/aarch64-linux-gnu/include")
FILES = ("core/*", "plan/*", "tiers/*", "*/*/*", "xnnpack/missing")
OTHERS = sorted(path for name in FILES for path in SOURCES.glob(f"{name}.cpp"))
#: What tiers of aarch64 are compiled with, as in cmake/instruction_sets.cmake.
FLAGS = {
    "neon": [],
    "neon_fp16": ["-march=armv8.2-a+fp16", "-DMOBILEINST_HALF"],
    "neon_dot": ["-march=armv8.2-a+fp16+dotprod"],
    "neon_i8mm": ["-march=armv8.2-a+fp16+dotprod+i8mm"],
}
NEON = [
    (path, flags)
    for tier, flags in FLAGS.items()
    for path in (SOURCES / f"tiers/{tier}.cpp", *sorted(SOURCES.glob(f"kernels/*/*_{tier}.S")))
]
PLAIN = [path for path in OTHERS if path.parent.name != "tiers" or path.stem in ("kernel_table", "ref")]


def compile_with_clang(path: Path, *options: str) -> None:
    compiler = shutil.which("clang++")
    headers = sorted(CROSS.glob("c++/*"))
    if compiler is None or not headers:
        pytest.skip("needs clang++ and g++-aarch64-linux-gnu")
    line = [compiler, "--target=aarch64-linux-gnu", "-std=c++17", "-Wall", "-Wextra", "-Werror"]
    line += ["-ffp-contract=off", f"-I{SOURCES}"]
    for folder in (headers[-1], headers[-1] / "aarch64-linux-gnu", CROSS):
        line += ["-isystem", str(folder)]
    done = subprocess.run([*line, *options, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("path", "flags"), NEON, ids=[path.name for path, _ in NEON])
def test_clang_assembles_the_neon_kernels(path: Path, flags: list[str], tmp_path: Path) -> None:
    compile_with_clang(path, *flags, "-O1", "-c", "-o", str(tmp_path / "out.o"))


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_clang_understands_the_rest(path: Path) -> None:
    compile_with_clang(path, "-fsyntax-only")
