"""Cross-build the Linux wheels on one x86-64 machine, for glibc 2.17 and musl.

    python tools/wheels.py [--python 3.11 3.12] [--platform manylinux_aarch64 ...] [--output dist]

The compiler is zig from PyPI (`ziglang`), which brings the C libraries of every target, so that a wheel needs
no newer system than its tag says. The interpreter of each version (`python3.11` ... on PATH) builds its
wheels; its headers serve every 64-bit Linux. Versions that are missing are named and left out.
`[tool.cibuildwheel]` in pyproject.toml is for native runners, macOS and Android.

Every wheel is checked: its tag by auditwheel, and its size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LARGEST = 12_000_000  # bytes of a wheel

#: What the interpreter that builds a wheel needs, and what checks the result.
BUILD_PACKAGES = ("pip>=25.1", "scikit-build-core>=0.11", "pybind11>=3.0", "cmake>=3.18", "ninja")
TOOL_PACKAGES = ("ziglang>=0.14", "auditwheel>=6.8", "wheel>=0.43")


@dataclass(frozen=True)
class Platform:
    """A target: zig's name of it, its processor, the wheel's platform tag, and the extension's suffix.

    Attributes:
        suffix: With ``{soabi}`` for e.g. ``cpython-311``. Interpreters on musl disagree about the name of
            their platform, all of them take a plain ``.so``.
    """

    target: str
    processor: str
    tag: str
    suffix: str


PLATFORMS = {
    "manylinux_x86_64": Platform(
        "x86_64-linux-gnu.2.17", "x86_64", "manylinux_2_17_x86_64", ".{soabi}-x86_64-linux-gnu.so"
    ),
    "manylinux_aarch64": Platform(
        "aarch64-linux-gnu.2.17", "aarch64", "manylinux_2_17_aarch64", ".{soabi}-aarch64-linux-gnu.so"
    ),
    "musllinux_x86_64": Platform("x86_64-linux-musl", "x86_64", "musllinux_1_2_x86_64", ".so"),
    "musllinux_aarch64": Platform("aarch64-linux-musl", "aarch64", "musllinux_1_2_aarch64", ".so"),
}


class WheelError(Exception):
    """A wheel that could not be built or is not what it must be."""


def run(command: list[str | Path], **options: object) -> str:
    """Standard output of a command; WheelError with its last lines if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()[-40:]
        raise WheelError(f"{' '.join(map(str, command[:6]))} ... failed:\n" + "\n".join(lines))
    return str(done.stdout)


def environment(folder: Path, interpreter: str, packages: tuple[str, ...]) -> Path:
    """The Python of a virtual environment with packages, made if it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        run([interpreter, "-m", "venv", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    return python


def interpreter_of(version: str) -> str | None:
    """A Python of that version on PATH that runs, or None."""
    path = shutil.which(f"python{version}")
    command = "import sys; print('%d.%d' % sys.version_info[:2])"
    if path is None:
        return None
    done = subprocess.run([path, "-c", command], capture_output=True, text=True, check=False)
    return path if done.stdout.strip() == version else None


def write_toolchain(folder: Path, platform: Platform, zig: list[str]) -> Path:
    """CMake's toolchain file for a target, with wrappers of zig as its compilers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("cc", "c++", "ar", "ranlib"):
        target = f" -target {platform.target} -g0" if name in ("cc", "c++") else ""
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(zig)} {name}{target} "$@"\n')
        script.chmod(0o755)
    path = folder / "toolchain.cmake"
    path.write_text(
        "set(CMAKE_SYSTEM_NAME Linux)\n"
        f"set(CMAKE_SYSTEM_PROCESSOR {platform.processor})\n"
        f'set(CMAKE_C_COMPILER "{folder}/cc")\nset(CMAKE_CXX_COMPILER "{folder}/c++")\n'
        f'set(CMAKE_AR "{folder}/ar")\nset(CMAKE_RANLIB "{folder}/ranlib")\n'
        # Only the interpreter of this machine is asked; CMake wants to know how it is run.
        "set(CMAKE_CROSSCOMPILING_EMULATOR env)\n"
        # zig answers in GNU's manner, but its linker knows no plug-ins and no dependency files.
        "set(CMAKE_CXX_LINKER_DEPFILE_SUPPORTED OFF)\nset(CMAKE_C_LINKER_DEPFILE_SUPPORTED OFF)\n"
        'set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")\nset(CMAKE_MODULE_LINKER_FLAGS_INIT "-s")\n'
    )
    return path


def build(python: Path, version: str, platform: Platform, toolchain: Path, folder: Path) -> Path:
    """The wheel of a version and platform as the build makes it, with the plain tag of the system."""
    suffix = platform.suffix.format(soabi="cpython-" + version.replace(".", ""))
    shutil.rmtree(folder, ignore_errors=True)
    env = {
        **os.environ,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "CMAKE_TOOLCHAIN_FILE": str(toolchain),
        "_PYTHON_HOST_PLATFORM": f"linux-{platform.processor}",
        "SETUPTOOLS_EXT_SUFFIX": suffix,
        "SKBUILD_CMAKE_DEFINE": f"PYTHON_MODULE_EXTENSION={suffix}",
    }
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run([python, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT], env=env)
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path, platform: Platform, tools: Path, output: Path) -> Path:
    """The wheel with its platform's tag, in the output folder."""
    name = run(
        [tools, "-m", "wheel", "tags", "--remove", f"--platform-tag={platform.tag}", wheel]
    ).splitlines()[-1]
    output.mkdir(parents=True, exist_ok=True)
    made = output / name
    os.replace(wheel.parent / name, made)
    return made


def check(wheel: Path, platform: Platform, tools: Path) -> None:
    """WheelError unless the wheel keeps what its tag promises."""
    size = wheel.stat().st_size
    if size > LARGEST:
        raise WheelError(f"{wheel.name} has {size:,} bytes, more than {LARGEST:,}")
    with zipfile.ZipFile(wheel) as archive:
        extensions = [name for name in archive.namelist() if name.endswith(".so")]
    if len(extensions) != 1:
        raise WheelError(f"{wheel.name}: expected one extension, found {extensions}")
    found = json.loads(run([tools, "-m", "auditwheel", "show", "--json", wheel]))["overall_tag"]
    libc = platform.tag.split("_")[0]
    if not found.startswith(libc) or _version(found) > _version(platform.tag):
        raise WheelError(f"{wheel.name}: auditwheel finds {found}")


def _version(tag: str) -> tuple[int, ...]:
    return tuple(int(part) for part in tag.split("_")[1:3])


def main() -> int:
    """Build what was asked for; the exit status is 1 if a wheel failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", nargs="+", choices=VERSIONS, default=VERSIONS, metavar="X.Y")
    parser.add_argument("--platform", nargs="+", choices=PLATFORMS, default=[*PLATFORMS])
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, help="folder for environments and builds, to be used again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = (args.work or Path(scratch)).resolve()
        tools = environment(work / "tools", sys.executable, TOOL_PACKAGES)
        failed = 0
        for version in args.python:
            interpreter = interpreter_of(version)
            if interpreter is None:
                print(f"Python {version}: no python{version} on PATH, left out", flush=True)
                continue
            python = environment(work / f"python{version}", interpreter, BUILD_PACKAGES)
            for name in args.platform:
                platform = PLATFORMS[name]
                toolchain = write_toolchain(work / name, platform, [str(tools), "-m", "ziglang"])
                try:
                    wheel = build(python, version, platform, toolchain, work / name / "wheel")
                    made = retag(wheel, platform, tools, args.output)
                    check(made, platform, tools)
                    print(f"{made.name}  {made.stat().st_size:,} bytes", flush=True)
                except WheelError as error:
                    failed += 1
                    print(f"Python {version}, {name}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
