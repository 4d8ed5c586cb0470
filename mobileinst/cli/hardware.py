"""What Linux tells of the machine: board, kinds of cores, instruction sets, temperature and throttling.

Every function takes the folder where ``proc`` and ``sys`` are, so that other folders describe other machines,
and takes whatever lies there: what can't be understood is left out.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")

#: Arm's numbers of cores (`CPU part` of /proc/cpuinfo where the implementer is 0x41).
_ARM_PARTS = {
    0xC07: "Cortex-A7",
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77",
    0xD40: "Neoverse-V1",
    0xD41: "Cortex-A78",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD48: "Cortex-X2",
    0xD49: "Neoverse-N2",
    0xD4B: "Cortex-A78C",
    0xD4D: "Cortex-A715",
    0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2",
    0xD80: "Cortex-A520",
    0xD81: "Cortex-A720",
    0xD82: "Cortex-X4",
}
_ARM = 0x41

#: Of the many flags of an x86 processor those that matter to kernels such as ours.
X86_FLAGS = (
    *("sse2", "ssse3", "sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512vbmi", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8"),
)

#: Bits of the Raspberry Pi's answer, which stand for the present; 16 bits higher for the time since start.
_THROTTLED = (
    "the voltage is too low",
    "the frequency is capped",
    "throttled",
    "at the soft temperature limit",
)

#: Words in the names of thermal zones that stand for the processor, and what a temperature may be (°C).
_PROCESSOR_ZONES = ("cpu", "soc", "core", "x86_pkg", "apc", "tsens")
_COLDEST, _HOTTEST = -50.0, 200.0


def read(path: Path) -> str:
    """The text of a file, at most a megabyte of it; empty where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def board(root: Path = ROOT) -> str:
    """The board's name by the device tree or the firmware, "Raspberry Pi 4 Model B Rev 1.4"; or empty."""
    names = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")
    return next((name for name in (_line(read(root / path)) for path in names) if name), "")


def core_names(root: Path = ROOT) -> dict[int, str]:
    """The kind of each core by its number, as /proc/cpuinfo tells."""
    names: dict[int, str] = {}
    for facts in _cpuinfo(root):
        number = _whole(facts.get("processor", ""))
        name = _core_name(facts)
        if number is not None and name:
            names[number] = name
    return names


def core_kinds(names: Iterable[str]) -> str:
    """Kinds of cores with their numbers, in order of appearance: "1 x Cortex-X1, 3 x Cortex-A78"."""
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).items())


def processor_name(root: Path = ROOT) -> str:
    """A name for the whole processor where its cores have none."""
    for facts in _cpuinfo(root):
        for key in ("model name", "hardware", "model"):
            value = _line(facts.get(key, ""))
            if value and not value.isdigit():
                return f"{value} ({platform.machine()})"
    return platform.processor() or platform.machine() or "unknown"


def detected_features(root: Path = ROOT) -> tuple[str, ...]:
    """Extensions of the instruction set that every core has, as Linux names them; of x86 some."""
    lists = []
    for facts in _cpuinfo(root):
        listed = facts.get("features") or facts.get("flags", "")
        words = [word for word in listed.split() if word.isascii() and word.isprintable()]
        if words:
            lists.append(words if facts.get("features") else [flag for flag in X86_FLAGS if flag in words])
    if not lists:
        return ()
    everywhere = set.intersection(*map(set, lists))
    return tuple(word for word in lists[0] if word in everywhere)


def temperature(root: Path = ROOT) -> tuple[float, str] | None:
    """°C and name of the hottest thermal zone of the processor, or else of any; None without one."""
    zones = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _whole(read(zone / "temp"))
        if value is None:
            continue
        # Thousandths of a degree, as the kernel documents; some vendors' kernels tell degrees.
        degrees = value / 1000 if abs(value) > _HOTTEST else float(value)
        if _COLDEST < degrees < _HOTTEST and degrees != 0:
            zones.append((degrees, _line(read(zone / "type")) or zone.name))
    ours = [zone for zone in zones if any(word in zone[1].lower() for word in _PROCESSOR_ZONES)]
    return max(ours or zones, default=None)


def throttling(root: Path = ROOT) -> tuple[list[str], list[str]] | None:
    """What slows a Raspberry Pi down at present, and what did since it started; None elsewhere."""
    if "raspberry pi" not in board(root).lower():
        return None
    told = read(root / "sys/devices/platform/soc/soc:firmware/get_throttled") or _vcgencmd("get_throttled")
    try:
        bits = int(told.rpartition("=")[2].strip(), 16)
    except ValueError:
        return None
    present = [what for bit, what in enumerate(_THROTTLED) if bits >> bit & 1]
    past = [what for bit, what in enumerate(_THROTTLED) if bits >> 16 + bit & 1 and what not in present]
    return present, past


def _vcgencmd(question: str) -> str:
    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, question], capture_output=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """The blocks of /proc/cpuinfo: one for each core, and on old kernels one of what they have in common."""
    blocks: list[dict[str, str]] = []
    for block in read(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in block.split("\n") if ":" in line)
        facts = {key.strip().lower(): value.strip() for key, _, value in pairs}
        if facts:
            blocks.append(facts)
    return blocks


def _core_name(facts: dict[str, str]) -> str:
    implementer, part = _whole(facts.get("cpu implementer", "")), _whole(facts.get("cpu part", ""))
    if part is not None:
        known = _ARM_PARTS.get(part) if implementer == _ARM else None
        return known or f"core {part:#x} of implementer {implementer or 0:#x}"
    return _line(facts.get("model name", ""))


def _whole(text: str) -> int | None:
    try:
        return int(text[:20], 0)
    except ValueError:
        return None


def _line(text: str) -> str:
    """The first line of a text without what does not print, at most 100 characters."""
    first = text.split("\n", 1)[0]
    return "".join(character for character in first if character.isprintable())[:100].strip()
