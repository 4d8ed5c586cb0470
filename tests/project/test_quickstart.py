"""`./quickstart` on systems that are only pretended: what it installs, and what it then runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="a script of bash"
)

#: Stands for Python: it has a package when the system's fake package manager installed it.
PYTHON = """#!{bash}
case "$1 $2" in
"-c import sys"*) exit 0 ;;
"-c import ensurepip"*) [ -e "$STATE/python-ensurepip-wheels" ] || [ -e "$STATE/python3-venv" ] ;;
"-c import os, sysconfig"*) [ -e "$STATE/python3-dev" ] ;;
"-c import numpy") [ -e "$STATE/python-numpy" ] ;;
"-c import PIL") [ -e "$STATE/python-pillow" ] ;;
"-m venv")
    echo "python $*" >>"$STATE/log"
    mkdir -p "${{@: -1}}/bin"
    cp "$0" "${{@: -1}}/bin/python"
    printf '#!%s\\necho "mobileinst $*" >>"$STATE/log"\\n' "{bash}" >"${{@: -1}}/bin/mobileinst"
    chmod +x "${{@: -1}}/bin/mobileinst"
    ;;
"-m pip"|"-m pytest"|"- "*) echo "python $*" >>"$STATE/log"; cat >/dev/null </dev/null ;;
*) exit 3 ;;
esac
"""
MANAGER = """#!{bash}
echo "{name} $*" >>"$STATE/log"
for word; do case "$word" in -*|install|update) ;; *) : >"$STATE/$word" ;; esac; done
"""
#: What a script of the shell may call.
TOOLS = ("bash", "cat", "chmod", "cp", "dirname", "env", "find", "id", "mkdir", "mktemp", "mv", "rm", "touch")


@pytest.fixture
def fake(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A checkout with nothing but the script, and an environment whose programs are all fake."""
    bash = shutil.which("bash") or ""
    programs, checkout = tmp_path / "bin", tmp_path / "checkout"
    for folder in (programs, checkout, tmp_path / "state"):
        folder.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(shutil.which(name) or "")
    texts = {"python3": PYTHON.format(bash=bash)}
    for name in ("apt-get", "pkg"):
        texts[name] = MANAGER.format(bash=bash, name=name)
    texts["sudo"] = f'#!{bash}\n"$@"\n'
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    shutil.copy(ROOT / "quickstart", checkout)
    return checkout, {"PATH": str(programs), "STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}


def run(fake: tuple[Path, dict[str, str]], *arguments: str, **variables: str) -> list[str]:
    """The script's exit must be 0; the lines of what it called."""
    checkout, environment = fake
    done = subprocess.run(
        [str(checkout / "quickstart"), *arguments],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        cwd=checkout,
    )
    assert done.returncode == 0, done.stderr
    log = Path(environment["STATE"]) / "log"
    lines = log.read_text().splitlines()
    log.unlink()
    return lines


def test_debian(fake: tuple[Path, dict[str, str]]) -> None:
    checkout, _ = fake
    called = run(fake)
    assert "apt-get update -qq" in called
    assert "apt-get install -y -qq --no-install-recommends python3-venv python3-dev g++" in called
    assert f"python -m venv {checkout}/.venv" in called
    assert any(line.endswith(f"{checkout}[all,demo]") for line in called)
    assert called[-1] == "mobileinst demo --output-dir mobileinst-demo"
    assert not any(line.startswith("pkg") for line in called)


def test_termux(fake: tuple[Path, dict[str, str]]) -> None:
    checkout, _ = fake
    (checkout / ".venv/photographs").mkdir(parents=True)
    (checkout / ".venv/photographs/chelsea.png").touch()
    termux = {"PREFIX": "/data/data/com.termux/files/usr"}
    called = run(fake, **termux)
    wanted = "python-ensurepip-wheels python-numpy python-pillow clang cmake ninja ffmpeg"
    assert called[0] == f"pkg install -y {wanted}"
    assert called[1] == f"python -m venv --system-site-packages {checkout}/.venv"
    assert f"python -m pip install -C cmake.define.MOBILEINST_TESTING=ON {checkout}" in called
    assert called[-1] == (
        f"mobileinst demo --output-dir mobileinst-demo --photographs {checkout}/.venv/photographs"
    )
    assert not any(word in line for line in called for word in ("apt-get", "[all"))
    called = run(fake, "tests", **termux)
    assert called[-2:] == ["python -m pip install --quiet pytest>=8 hypothesis>=6.100", "python -m pytest"]


def test_termux_is_known_by_its_programs(fake: tuple[Path, dict[str, str]]) -> None:
    checkout, environment = fake
    (Path(environment["PATH"]) / "termux-info").symlink_to(shutil.which("true") or "")
    (checkout / ".venv/photographs").mkdir(parents=True)
    (checkout / ".venv/photographs/chelsea.png").touch()
    assert run(fake)[0].startswith("pkg install")


def test_nothing_is_installed_twice(fake: tuple[Path, dict[str, str]]) -> None:
    checkout, environment = fake
    for name in ("CMakeLists.txt", "pyproject.toml", "cmake", "mobileinst", "src", "weights_tools"):
        (checkout / name).touch()
        os.utime(checkout / name, (1, 1))
    (Path(environment["PATH"]) / "c++").symlink_to(shutil.which("true") or "")
    run(fake)
    assert run(fake) == ["mobileinst demo --output-dir mobileinst-demo"]


def test_an_unknown_word(fake: tuple[Path, dict[str, str]]) -> None:
    checkout, environment = fake
    done = subprocess.run(
        [str(checkout / "quickstart"), "test"], env=environment, capture_output=True, text=True, cwd=checkout
    )
    assert done.returncode == 1
    assert "expected nothing or 'tests', got 'test'" in done.stderr
