"""Files that describe a Raspberry Pi 5 to programs under qemu-user.

qemu 7.2 shows the x86 host's /proc/cpuinfo and /sys, which libraries that read them misunderstand; files
under its -L prefix are seen instead.
"""

from __future__ import annotations

from pathlib import Path

_FEATURES = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)
_PROCESSOR = """processor\t: {index}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
_CACHES = (("1", "Data", "64K", False), ("1", "Instruction", "64K", False), ("2", "Unified", "512K", False))
_SHARED_CACHE = ("3", "Unified", "2048K", True)


def describe_raspberry_pi(root: Path, cores: int = 4) -> None:
    """Write proc/cpuinfo and sys/devices/system/cpu under the target's root."""
    everyone = f"0-{cores - 1}"
    cpu = root / "sys/devices/system/cpu"
    texts = {
        root / "proc/cpuinfo": "\n".join(_PROCESSOR.format(index=i, features=_FEATURES) for i in range(cores))
        + "\n"
    }
    texts |= {cpu / name: everyone for name in ("possible", "present", "online")}
    texts[cpu / "kernel_max"] = str(cores - 1)
    for i in range(cores):
        one = cpu / f"cpu{i}"
        texts |= {one / "topology/physical_package_id": "0", one / "topology/core_id": str(i)}
        for name in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list"):
            texts[one / "topology" / name] = everyone
        texts[one / "topology/thread_siblings_list"] = str(i)
        texts[one / "cpufreq/cpuinfo_max_freq"] = "2400000"
        texts[one / "cpufreq/cpuinfo_min_freq"] = "1500000"
        for number, (level, kind, size, shared) in enumerate((*_CACHES, _SHARED_CACHE)):
            cache = one / "cache" / f"index{number}"
            texts |= {cache / "level": level, cache / "type": kind, cache / "size": size}
            texts[cache / "shared_cpu_list"] = everyone if shared else str(i)
            texts[cache / "coherency_line_size"] = "64"
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
