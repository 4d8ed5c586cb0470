"""Files that describe ARM machines: to programs under qemu-user, and to tests.

    python -m benchmarks.arm.fake_cpu ROOT cortex-a55

qemu-user shows the x86 host's /proc/cpuinfo and /sys, which libraries that read them misunderstand; files
under its -L prefix are seen instead. They tell the same core as its -cpu option emulates.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_V8} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
_V8_4 = f"{_V8_2} jscvt fcma sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs dcpodp svei8mm svebf16 i8mm bf16"


@dataclass(frozen=True)
class Core:
    """A kind of core as Linux tells it.

    Attributes:
        part: Arm's number of it.
        features: What /proc/cpuinfo lists.
        megahertz: Its highest frequency where it is met most.
        capacity: Linux's measure of its speed, of 1024, beside those it is met with.
        first, second: Sizes of its caches in KiB.
    """

    part: int
    features: str
    megahertz: int
    capacity: int
    first: int
    second: int


CORES = {
    "cortex-a53": Core(0xD03, _V8, 1400, 1024, 32, 512),  # Raspberry Pi 3 and Zero 2
    "cortex-a55": Core(0xD05, _V8_2, 1800, 160, 32, 128),
    "cortex-a72": Core(0xD08, _V8, 1800, 1024, 48, 1024),  # Raspberry Pi 4
    "cortex-a76": Core(0xD0B, _V8_2, 2400, 1024, 64, 512),  # Raspberry Pi 5
    "cortex-a78": Core(0xD41, _V8_2, 2400, 740, 64, 512),
    "cortex-x1": Core(0xD44, _V8_2, 2800, 1024, 64, 1024),
    "neoverse-n1": Core(0xD0C, _V8_2, 2500, 1024, 64, 1024),  # Graviton 2
    "neoverse-v1": Core(0xD40, _V8_4, 2600, 1024, 64, 1024),  # Graviton 3
}

_PROCESSOR = """processor\t: {index}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part:#05x}
CPU revision\t: 0
"""


def describe(
    root: Path,
    names: Sequence[str],
    *,
    model: str | None = None,
    megahertz: int | None = None,
    tells: bool = True,
) -> Path:
    """Write proc/cpuinfo, sys/devices/system/cpu and the board's name under a folder, which is returned.

    Args:
        names: The kind of each core, of `CORES`.
        model: The board's name in the device tree; None for machines without one.
        megahertz: Highest frequency of all cores, where it isn't the usual one.
        tells: Whether frequencies are told; servers' firmware often does not.
    """
    everyone = f"0-{len(names) - 1}"
    cpu = root / "sys/devices/system/cpu"
    blocks = []
    texts = {cpu / name: everyone for name in ("possible", "present", "online")}
    texts[cpu / "kernel_max"] = str(len(names) - 1)
    for i, name in enumerate(names):
        core, one = CORES[name], cpu / f"cpu{i}"
        blocks.append(_PROCESSOR.format(index=i, features=core.features, part=core.part))
        texts |= {one / "topology/physical_package_id": "0", one / "topology/core_id": str(i)}
        for siblings in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list"):
            texts[one / "topology" / siblings] = everyone
        texts[one / "topology/thread_siblings_list"] = str(i)
        if tells:
            texts[one / "cpufreq/cpuinfo_max_freq"] = str(1000 * (megahertz or core.megahertz))
            texts[one / "cpufreq/cpuinfo_min_freq"] = "600000"
        if len(set(names)) > 1:
            texts[one / "cpu_capacity"] = str(core.capacity)
        caches = (("1", "Data", core.first), ("1", "Instruction", core.first), ("2", "Unified", core.second))
        for number, (level, kind, size) in enumerate(caches):
            cache = one / "cache" / f"index{number}"
            texts |= {cache / "level": level, cache / "type": kind, cache / "size": f"{size}K"}
            texts |= {cache / "shared_cpu_list": str(i), cache / "coherency_line_size": "64"}
    texts[root / "proc/cpuinfo"] = "\n".join(blocks)
    if model is not None:
        texts[root / "proc/device-tree/model"] = f"{model}\0"
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.endswith(("\n", "\0")) else f"{text}\n", encoding="utf-8")
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="qemu's -L prefix")
    parser.add_argument("core", choices=CORES)
    parser.add_argument("--count", type=int, default=4, help="number of cores (4)")
    options = parser.parse_args()
    describe(options.root, [options.core] * options.count)


if __name__ == "__main__":
    main()
