"""What tools/wheels.py decides: headers, tags, and what a wheel must be. Building takes minutes."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT


@pytest.fixture
def wheels(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("wheels")


def headers(folder: Path, version: str) -> Path:
    major, minor = version.split(".")
    folder.mkdir(parents=True)
    (folder / "Python.h").touch()
    text = f"#define PY_MAJOR_VERSION\t{major}\n#define PY_MINOR_VERSION        {minor}\n"
    (folder / "patchlevel.h").write_text(text)
    return folder


def test_versions_of_headers(wheels: Any, tmp_path: Path) -> None:
    assert wheels.header_version(headers(tmp_path / "a", "3.14")) == "3.14"
    assert wheels.header_version(tmp_path) is None


def test_headers_that_are_given_must_be_of_the_version(wheels: Any, tmp_path: Path) -> None:
    folder = headers(tmp_path / "python3.14", "3.14")
    assert wheels.headers_of("3.14", {"3.14": folder}) == folder
    with pytest.raises(wheels.WheelError, match=r"expected the headers of Python 3\.13, found 3\.14"):
        wheels.headers_of("3.13", {"3.13": folder})
    with pytest.raises(wheels.WheelError, match="found none"):
        wheels.headers_of("3.13", {"3.13": tmp_path})


def test_headers_of_an_interpreter_on_the_path(
    wheels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert wheels.headers_of("3.12", {}) is None
    monkeypatch.setattr(shutil, "which", lambda name: sys.executable)
    other = "3.10" if sys.version_info[:2] != (3, 10) else "3.11"
    assert wheels.headers_of(other, {}) is None  # a program of that name, but of another version


def test_debians_headers_serve_all_processors(wheels: Any, tmp_path: Path) -> None:
    source = headers(tmp_path / "include/python3.14", "3.14")
    (source / "pyconfig.h").write_text("#include <x86_64-linux-gnu/python3.14/pyconfig.h>")
    plain = tmp_path / "include/x86_64-linux-gnu/python3.14/pyconfig.h"
    plain.parent.mkdir(parents=True)
    plain.write_text("#define SIZEOF_LONG 8")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/of another version.h").touch()
    wheels.copy_headers(source, tmp_path / "copy")
    assert (tmp_path / "copy/pyconfig.h").read_text() == "#define SIZEOF_LONG 8"
    assert not (tmp_path / "copy/of another version.h").exists()
    assert (tmp_path / "copy/Python.h").exists()


@pytest.mark.parametrize("text", ["3.14", "3.9=x", "=x", "four=x"])
def test_include_is_a_version_and_a_folder(wheels: Any, text: str) -> None:
    assert wheels.included("3.14=a=b") == ("3.14", Path("a=b"))
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected X\.Y=FOLDER"):
        wheels.included(text)


def test_defines_go_to_the_build(wheels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}

    def pip(command: list[Any], env: dict[str, str]) -> str:
        given.update(env)
        (tmp_path / "wheel").mkdir()
        (tmp_path / "wheel/mobileinst.whl").touch()
        return ""

    monkeypatch.setattr(wheels, "run", pip)
    platform = wheels.PLATFORMS["manylinux_aarch64"]
    arguments = (Path("bin/python"), "3.14", platform, Path("toolchain"), tmp_path, ["MOBILEINST_WERROR=ON"])
    assert wheels.build(*arguments) == tmp_path / "wheel/mobileinst.whl"
    extension = "PYTHON_MODULE_EXTENSION=.cpython-314-aarch64-linux-gnu.so"
    assert given["SKBUILD_CMAKE_DEFINE"] == f"{extension};MOBILEINST_WERROR=ON"


def made(folder: Path, content: bytes, extensions: int = 1) -> Path:
    path = folder / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(extensions):
            archive.writestr(f"mobileinst/_native{number}.so", content)
    return path


@pytest.mark.parametrize(
    ("platform", "found", "fine"),
    [
        ("manylinux_aarch64", "manylinux_2_17_aarch64", True),
        ("manylinux_aarch64", "manylinux_2_5_aarch64", True),
        ("manylinux_aarch64", "manylinux_2_35_aarch64", False),
        ("manylinux_aarch64", "linux_aarch64", False),
        ("musllinux_x86_64", "musllinux_1_2_x86_64", True),
        ("musllinux_x86_64", "manylinux_2_17_x86_64", False),
    ],
)
def test_auditwheel_must_agree(
    wheels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, found: str, fine: bool
) -> None:
    monkeypatch.setattr(wheels, "run", lambda command: f'{{"overall_tag": "{found}"}}')
    arguments = (made(tmp_path, b"...3.14\0..."), "3.14", wheels.PLATFORMS[platform], Path("python"))
    if fine:
        wheels.check(*arguments)
    else:
        with pytest.raises(wheels.WheelError, match=f"auditwheel finds {found}"):
            wheels.check(*arguments)


def test_a_wheel_is_small_whole_and_of_its_version(
    wheels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = wheels.PLATFORMS["manylinux_x86_64"]
    with pytest.raises(wheels.WheelError, match=r"was not compiled for Python 3\.14"):
        wheels.check(made(tmp_path, b"3.11\0"), "3.14", platform, Path("python"))
    with pytest.raises(wheels.WheelError, match="expected one extension"):
        wheels.check(made(tmp_path, b"3.14\0", 2), "3.14", platform, Path("python"))
    monkeypatch.setattr(wheels, "LARGEST", 10)
    with pytest.raises(wheels.WheelError, match="bytes, more than 10"):
        wheels.check(made(tmp_path, b"3.14\0"), "3.14", platform, Path("python"))


def test_wheels_and_cibuildwheel_are_for_the_same_pythons(wheels: Any) -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built = project["tool"]["cibuildwheel"]["build"].split()
    assert built == [f"cp{version.replace('.', '')}-*" for version in wheels.VERSIONS]
    assert project["project"]["requires-python"] == f">={wheels.VERSIONS[0]}"
