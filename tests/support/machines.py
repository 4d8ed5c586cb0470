"""Machines as Linux describes them, in folders with ``proc``, ``sys`` and ``etc``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.arm.fake_cpu import describe

#: Four of one kind, or a phone's one, three and four.
BOARDS = {
    "Raspberry Pi 3": ("Raspberry Pi 3 Model B Plus Rev 1.3", ["cortex-a53"] * 4, 1400),
    "Raspberry Pi 4": ("Raspberry Pi 4 Model B Rev 1.4", ["cortex-a72"] * 4, 1800),
    "Raspberry Pi 5": ("Raspberry Pi 5 Model B Rev 1.0", ["cortex-a76"] * 4, 2400),
    "Raspberry Pi Zero 2": ("Raspberry Pi Zero 2 W Rev 1.0", ["cortex-a53"] * 4, 1000),
    "phone": (None, ["cortex-a55"] * 4 + ["cortex-a78"] * 3 + ["cortex-x1"], None),
    "Graviton": ("Amazon EC2 c7g.16xlarge", ["neoverse-v1"] * 64, None),
    "half a processor": (None, ["neoverse-n1"] * 4, None),
}


def machine(name: str, root: Path) -> Path:
    """Describe a machine of `BOARDS` in a folder, which is returned."""
    model, cores, megahertz = BOARDS[name]
    pi = name.startswith("Raspberry")
    describe(root, cores, model=model if pi else None, megahertz=megahertz, tells=name != "Graviton")
    if pi:
        write(root, "sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        write(root, "sys/class/thermal/thermal_zone0/temp", "61300")
        write(root, "etc/os-release", 'ID=raspbian\nID_LIKE="debian"')
        write(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "50000")
    elif name == "phone":
        for number, (kind, value) in enumerate(
            {"battery": "-40000", "cpu-1-0": "48000", "wifi": "0"}.items()
        ):
            write(root, f"sys/class/thermal/thermal_zone{number}/type", kind)
            write(root, f"sys/class/thermal/thermal_zone{number}/temp", value)
    elif name == "half a processor":
        write(root, "sys/fs/cgroup/cpu.max", "50000 100000")
    if name == "Graviton":
        write(root, "sys/class/dmi/id/product_name", model or "")
    return root


def write(root: Path, path: str, text: str) -> None:
    """Write one of a described machine's files."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n")
