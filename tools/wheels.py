"""Cross-build the Linux wheels on one x86-64 machine, for glibc 2.17 and musl.

    python tools/wheels.py [--python 3.11 3.12] [--platform manylinux_aarch64 ...] [--output dist]
    python tools/wheels.py --python 3.14 --include 3.14=headers/usr/include/python3.14

The compiler is zig from PyPI (`ziglang`), which brings the C libraries of every target, so that a wheel needs
no newer system than its tag says. Of each version only the headers are needed, which serve every 64-bit
Linux: those of `--include` (`tools/python_headers` fetches some), or else of the interpreter on PATH
(`python3.11` ...). Versions that are missing are named and left out. pybind11 has no stable ABI, so each
version has wheels of its own. `[tool.cibuildwheel]` in pyproject.toml is for native runners, macOS and
Android.

Every wheel is checked: its tag by auditwheel, its size, and that it is made of its version's headers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LARGEST = 12_000_000  # bytes of a wheel

#: What builds a wheel, and what checks it.
PACKAGES = (
    "auditwheel>=6.8",
    "cmake>=3.18",
    "ninja",
    "pip>=25.1",
    "pybind11>=3.0",
    "scikit-build-core>=0.11",
    "wheel>=0.43",
    "ziglang>=0.14",
)


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
    # musl of any version serves: C++'s library is linked in, and what is called is in musl 1.1, too.
    "musllinux_x86_64": Platform(
        "x86_64-linux-musl", "x86_64", "musllinux_1_1_x86_64.musllinux_1_2_x86_64", ".so"
    ),
    "musllinux_aarch64": Platform(
        "aarch64-linux-musl", "aarch64", "musllinux_1_1_aarch64.musllinux_1_2_aarch64", ".so"
    ),
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


def environment(folder: Path) -> Path:
    """The Python of a virtual environment with the packages, made if it is missing."""
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
        complete.touch()
    return python


def headers_of(version: str, given: dict[str, Path]) -> Path | None:
    """The folder of a version's Python.h: as given, or of the interpreter on PATH; None if there is neither.

    Raises:
        WheelError: if the folder given holds none, or those of another version.
    """
    if version in given:
        folder = given[version].resolve()
        if header_version(folder) != version:
            found = header_version(folder) or "none"
            raise WheelError(f"{folder}: expected the headers of Python {version}, found {found}")
        return folder
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    command = "import sysconfig; print(sysconfig.get_path('include'))"
    done = subprocess.run([path, "-c", command], capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip() or "/")
    return folder if header_version(folder) == version else None


def header_version(folder: Path) -> str | None:
    """The version, e.g. "3.11", of the headers in a folder, or None."""
    try:
        text = (folder / "patchlevel.h").read_text(encoding="utf-8")
    except OSError:
        return None
    numbers = [re.search(rf"define PY_{part}_VERSION\s+(\d+)", text) for part in ("MAJOR", "MINOR")]
    return ".".join(number[1] for number in numbers if number)


def copy_headers(headers: Path, folder: Path) -> None:
    """Put headers for all 64-bit architectures into a folder, as files newer than what was made of others.

    Debian's pyconfig.h includes the one of the compiler's architecture, which is there for this machine's
    only; they are alike.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(headers, folder, copy_function=shutil.copyfile)
    for plain in sorted(headers.parent.glob(f"*-linux-gnu/{headers.name}/pyconfig.h"))[:1]:
        shutil.copyfile(plain, folder / "pyconfig.h")


def write_toolchain(folder: Path, platform: Platform, zig: list[str], options: str = "") -> Path:
    """CMake's toolchain file for a target, with wrappers of zig as its compilers, which get the options."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("cc", "c++", "ar", "ranlib"):
        target = f" -target {platform.target} -g0 {options}" if name in ("cc", "c++") else ""
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


def build(
    python: Path, version: str, platform: Platform, toolchain: Path, work: Path, defines: Sequence[str] = ()
) -> Path:
    """The wheel of a version and platform as the build makes it, with the tag of the running interpreter.

    The build folder serves all versions, so that only what includes Python.h is compiled for each of them.
    """
    folder = work / "wheel"
    suffix = platform.suffix.format(soabi=f"cpython-{version.replace('.', '')}")
    shutil.rmtree(folder, ignore_errors=True)
    env = {
        **os.environ,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "CMAKE_TOOLCHAIN_FILE": str(toolchain),
        "_PYTHON_HOST_PLATFORM": f"linux-{platform.processor}",
        "SETUPTOOLS_EXT_SUFFIX": suffix,
        "SKBUILD_BUILD_DIR": str(work / "build"),
        "SKBUILD_CMAKE_DEFINE": ";".join([f"PYTHON_MODULE_EXTENSION={suffix}", *defines]),
    }
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run([python, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT], env=env)
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path, version: str, platform: Platform, python: Path, output: Path) -> Path:
    """The wheel with the tags of its version and platform, in the output folder."""
    tag = f"cp{version.replace('.', '')}"
    tags = [f"--python-tag={tag}", f"--abi-tag={tag}", f"--platform-tag={platform.tag}"]
    name = run([python, "-m", "wheel", "tags", "--remove", *tags, wheel]).splitlines()[-1]
    output.mkdir(parents=True, exist_ok=True)
    made = output / name
    os.replace(wheel.parent / name, made)
    return made


def check(wheel: Path, version: str, platform: Platform, python: Path) -> None:
    """WheelError unless the wheel keeps what its tags promise."""
    size = wheel.stat().st_size
    if size > LARGEST:
        raise WheelError(f"{wheel.name} has {size:,} bytes, more than {LARGEST:,}")
    with zipfile.ZipFile(wheel) as archive:
        extensions = [name for name in archive.namelist() if name.endswith(".so")]
        if len(extensions) != 1:
            raise WheelError(f"{wheel.name}: expected one extension, found {extensions}")
        # pybind11 compares this text with the interpreter's version when the extension is imported.
        if f"{version}\0".encode() not in archive.read(extensions[0]):
            raise WheelError(f"{wheel.name}: its extension was not compiled for Python {version}")
    found = json.loads(run([python, "-m", "auditwheel", "show", "--json", wheel]))["overall_tag"]
    libc = platform.tag.split("_")[0]
    if not found.startswith(libc) or _version(found) > _version(platform.tag.split(".")[-1]):
        raise WheelError(f"{wheel.name}: auditwheel finds {found}")


def _version(tag: str) -> tuple[int, ...]:
    return tuple(int(part) for part in tag.split("_")[1:3])


def make_wheel(
    python: Path,
    version: str,
    name: str,
    headers: Path,
    work: Path,
    output: Path,
    defines: Sequence[str] = (),
) -> Path:
    """Build, tag and check the wheel of a version for a platform."""
    platform = PLATFORMS[name]
    # This folder comes before the headers of the interpreter that runs the build, whatever its version.
    include = work / name / "include"
    copy_headers(headers, include)
    toolchain = write_toolchain(work / name, platform, [str(python), "-m", "ziglang"], f"-I{include}")
    wheel = build(python, version, platform, toolchain, work / name, defines)
    made = retag(wheel, version, platform, python, output)
    check(made, version, platform, python)
    return made


def included(text: str) -> tuple[str, Path]:
    """`X.Y=FOLDER` of the command line."""
    version, sign, folder = text.partition("=")
    if version not in VERSIONS or not sign:
        raise argparse.ArgumentTypeError(f"expected X.Y=FOLDER with X.Y of {', '.join(VERSIONS)}, got {text}")
    return version, Path(folder)


def main() -> int:
    """Build what was asked for; the exit status is 1 if a wheel failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", nargs="+", choices=VERSIONS, default=VERSIONS, metavar="X.Y")
    parser.add_argument("--platform", nargs="+", choices=PLATFORMS, default=[*PLATFORMS])
    parser.add_argument("--include", nargs="+", type=included, default=[], metavar="X.Y=FOLDER")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--define", nargs="+", default=[], metavar="NAME=VALUE", help="CMake's options")
    parser.add_argument("--work", type=Path, help="folder for environments and builds, to be used again")
    args = parser.parse_args()
    given = dict(args.include)
    try:
        headers = {version: headers_of(version, given) for version in args.python}
    except WheelError as error:
        parser.error(str(error))
    for version in args.python:
        if headers[version] is None:
            print(f"Python {version}: no headers and no python{version} on PATH, left out", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        work = (args.work or Path(scratch)).resolve()
        python = environment(work / "tools")
        for name, version in itertools.product(args.platform, args.python):
            folder = headers[version]
            if folder is None:
                continue
            try:
                made = make_wheel(python, version, name, folder, work, args.output, args.define)
                print(f"{made.name}  {made.stat().st_size:,} bytes", flush=True)
            except WheelError as error:
                failed += 1
                print(f"Python {version}, {name}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
