"""`mobileinst doctor` on described machines: boards, phones, servers, containers, damaged descriptions."""

from __future__ import annotations

import base64
import hashlib
import random
import shutil
import sys
import warnings
from importlib import metadata
from pathlib import Path

import pytest

from mobileinst import _native
from mobileinst.cli import hardware, installation
from mobileinst.cli.commands import doctor
from tests.support.machines import BOARDS, machine, write


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOBILEINST_THREADS", "PREFIX", "TERMUX_VERSION"):
        monkeypatch.delenv(name, raising=False)


def told(root: Path) -> dict[str, str]:
    """What is said of a described machine, by the word before the colon; all of it in order."""
    findings = list(doctor._machine(root))
    assert [text for fine, text in findings if not fine] == []
    return dict(text.split(": ", 1) for _, text in findings)


@pytest.mark.parametrize(
    ("name", "kinds", "threads"),
    [
        ("Raspberry Pi 3", "4 x Cortex-A53, 4 cores for this process", "threads: 4"),
        ("Raspberry Pi 4", "4 x Cortex-A72, 4 cores for this process", "threads: 4"),
        ("Raspberry Pi 5", "4 x Cortex-A76, 4 cores for this process", "threads: 4"),
        ("Raspberry Pi Zero 2", "4 x Cortex-A53, 4 cores for this process", "threads: 4"),
        ("Graviton", "64 x Neoverse-V1, 64 cores for this process", "threads: 64"),
        (
            "phone",
            "4 x Cortex-A55, 3 x Cortex-A78, 1 x Cortex-X1, 8 cores for this process "
            "(speeds 1.00, 0.72, 0.72, 0.72, 0.16, 0.16, 0.16, 0.16)",
            "threads: 8, for 1 x Cortex-X1, 3 x Cortex-A78, 4 x Cortex-A55",
        ),
        (
            "half a processor",
            "4 x Neoverse-N1, 4 cores for this process, quota of 0.5 processors",
            "threads: 1",
        ),
    ],
)
def test_cores_and_threads(tmp_path: Path, name: str, kinds: str, threads: str) -> None:
    assert told(machine(name, tmp_path))["CPU"] == f"{kinds}; {threads}"


def test_little_cores_that_would_delay_are_not_chosen(tmp_path: Path) -> None:
    root = machine("phone", tmp_path)
    for index in range(4):
        write(root, f"sys/devices/system/cpu/cpu{index}/cpu_capacity", "10")
    assert told(root)["CPU"].endswith("threads: 4, for 1 x Cortex-X1, 3 x Cortex-A78")


@pytest.mark.parametrize("name", [name for name in BOARDS if name.startswith("Raspberry")])
def test_a_raspberry_pi_tells_its_heat(tmp_path: Path, name: str) -> None:
    found = told(machine(name, tmp_path))
    assert found["board"] == BOARDS[name][0]
    assert found["temperature"] == "61.3 °C (cpu-thermal)"
    assert found["throttling"] == "none at present (since the start: the voltage is too low, throttled)"


def test_a_raspberry_pi_that_is_slowed_is_a_problem(tmp_path: Path) -> None:
    root = machine("Raspberry Pi 4", tmp_path)
    write(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "0x50005")
    assert (
        False,
        "throttling: the voltage is too low, throttled; a better power supply or cooling makes it faster",
    ) in list(doctor._machine(root))


@pytest.mark.skipif(sys.platform == "win32", reason="programs as scripts")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("echo throttled=0x0", ([], [])),
        ("echo throttled=0x80008", (["at the soft temperature limit"], [])),
        ("echo VCHI initialization failed; exit 255", None),
        ("echo nonsense", None),
    ],
)
def test_vcgencmd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: tuple[list[str], list[str]] | None
) -> None:
    root = machine("Raspberry Pi 4", tmp_path / "root")
    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    write(tmp_path, "bin/vcgencmd", f'#!/bin/sh\n[ "$1" = get_throttled ] || exit 1\n{said}')
    (tmp_path / "bin/vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert hardware.throttling(root) == expected


def test_the_hottest_zone_of_the_processor_counts(tmp_path: Path) -> None:
    assert told(machine("phone", tmp_path))["temperature"] == "48.0 °C (cpu-1-0)"


def test_features_that_all_cores_have(tmp_path: Path) -> None:
    assert "asimddp" in hardware.detected_features(machine("Raspberry Pi 5", tmp_path / "5"))
    assert "asimddp" not in hardware.detected_features(machine("Raspberry Pi 4", tmp_path / "4"))
    write(tmp_path, "proc/cpuinfo", "processor: 0\nflags: fpu sse2 avx2\n\nprocessor: 1\nflags: sse2 fpu")
    assert hardware.detected_features(tmp_path) == ("sse2",)


def test_used_features_are_detected_ones_in_the_words_of_linux(tmp_path: Path) -> None:
    words = {*hardware.X86_FLAGS, *hardware.detected_features(machine("Raspberry Pi 5", tmp_path))}
    for tier in _native.supported_tiers():
        used = set(_native.tier_features(tier))
        assert used <= set(_native.cpu_features()) & words
        assert bool(used) == (tier != "ref")


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_is_a_problem_where_all_is_well(tmp_path: Path, name: str) -> None:
    problems = [text for fine, text in doctor.report(machine(name, tmp_path)) if not fine]
    assert [text for text in problems if not text.startswith("default weights")] == []


@pytest.mark.parametrize("seed", range(40))
def test_no_description_makes_it_fail(tmp_path: Path, seed: int) -> None:
    """Files that are empty, cut off, shuffled, of other types, or full of what no kernel writes."""
    rng = random.Random(seed)
    root = machine(rng.choice(list(BOARDS)), tmp_path)
    write(root, "proc/self/cgroup", "0::/a\n4:cpu,cpuacct:/b")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        damage = rng.randrange(9)
        if damage == 0:
            data = b""
        elif damage == 1:
            data = data[: rng.randrange(len(data) + 1)]
        elif damage == 2:
            data = bytes(rng.randrange(256) for _ in range(50))
        elif damage == 3:
            data = rng.choice([b"-1", b"9" * 5000, b"1e400", b"nan", b"0x", b"\xff\xfe", b"0\n0\n0", b"1_0"])
        elif damage == 4:
            data = data.replace(b":", b"::").replace(b"0x", b"")
        elif damage == 5:
            path.unlink()
            path.mkdir()
            continue
        path.write_bytes(data)
    for finding in (*doctor._machine(root), *doctor._extras(root)):
        assert finding[1].isprintable()
    hardware.detected_features(root)


def test_an_empty_machine(tmp_path: Path) -> None:
    found = told(tmp_path)
    assert list(found) == ["CPU"]
    assert "1 cores for this process" in found["CPU"]
    assert hardware.detected_features(tmp_path) == ()


def test_a_part_that_fails_does_not_end_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path) -> str:
        raise RuntimeError("odd")

    monkeypatch.setattr(hardware, "board", fail)
    findings = list(doctor.report(tmp_path))
    assert (False, "machine: can't be told: RuntimeError: odd") in findings
    assert any(text.startswith("instruction set") for _, text in findings)


def test_a_reason_of_many_lines_is_told_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path) -> str:
        raise ImportError(
            "\n\nIMPORTANT: READ THIS!\n\n  * advice\n\nOriginal error was: libblas.so.3: missing\n"
        )

    monkeypatch.setattr(hardware, "board", fail)
    findings = list(doctor.report(tmp_path))
    assert not any("\n" in text for _, text in findings)
    told = "machine: can't be told: ImportError: ... Original error was: libblas.so.3: missing"
    assert (False, told) in findings


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian", "sudo apt-get install ffmpeg"),
        ('ID=raspbian\nID_LIKE="debian"', "sudo apt-get install ffmpeg"),
        ("ID=alpine\n", "sudo apk add ffmpeg"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'", "sudo apt-get install ffmpeg"),
        ("ID=unheard", "please install ffmpeg"),
        ("", "please install ffmpeg"),
    ],
)
@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="told by /etc/os-release on Linux")
def test_the_command_that_brings_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, command: str
) -> None:
    write(tmp_path, "etc/os-release", release)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    system = installation.this_system(tmp_path)
    assert installation.program("ffmpeg", "ffmpeg", "videos", system).endswith(f"; {command}")


def test_the_command_that_brings_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/a b/python")
    line = installation.extra("video", "no-such-av", "av", "videos", "", installation.System(""))
    assert (
        line == "no-such-av: not installed (videos); '/opt/a b/python' -m pip install \"mobileinst[video]\""
    )
    monkeypatch.setenv("PREFIX", "/data/data/com.termux/files/usr")
    termux = installation.this_system(tmp_path)
    line = installation.extra("image", "no-such-pil", "PIL", "images", "python-pillow", termux)
    assert line.endswith("; pkg install python-pillow")
    line = installation.extra("eval", "no-such", "no", "evaluation", "", termux)
    assert line.endswith('-m pip install "mobileinst[eval]"')


def test_packages_that_termux_has() -> None:
    has = {"python-pillow", "python-torch"}
    assert {termux for *_, termux in installation.EXTRAS if termux} == has


def test_a_broken_extra_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy_that_is_broken", None)
    line = installation.extra("x", "numpy", "numpy_that_is_broken", "y", "", installation.System(""))
    assert "can't be imported (y): ModuleNotFoundError" in line


def test_an_extra_that_warns_is_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wants_more.py").write_text("import warnings\nwarnings.warn('something is missing')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = installation.extra("x", "numpy", "wants_more", "y", "", installation.System(""))
    assert line.endswith("(y)")
    assert not caught


class _Installed(metadata.Distribution):
    """An installed distribution as a folder holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_text(self, filename: str) -> str | None:
        path = self.folder / "x.dist-info" / filename
        return path.read_text() if path.exists() else None

    def locate_file(self, path: object) -> Path:  # type: ignore[override]
        return self.folder / str(path)


def test_wheel_and_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "mobileinst/assets/default.safetensors"
    write(tmp_path, "mobileinst/assets/default.safetensors", "numbers")
    digest = hashlib.sha256(weights.read_bytes())
    recorded = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
    write(tmp_path, "x.dist-info/RECORD", f"mobileinst/assets/default.safetensors,sha256={recorded},8")
    write(tmp_path, "x.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_aarch64")
    monkeypatch.setattr(installation.metadata, "distribution", lambda name: _Installed(tmp_path))
    assert installation.wheel_tag() == "cp311-cp311-manylinux_2_17_aarch64"
    fine, text = doctor._checksum("default", weights)
    assert fine
    assert text == f"weights default: SHA-256 {digest.hexdigest()}, as installed"
    weights.write_bytes(b"damaged")
    fine, text = doctor._checksum("default", weights)
    assert not fine
    assert f"but {digest.hexdigest()} was installed" in text
