"""Threads by default on described machines: boards, phones, servers, containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobileinst import _native
from mobileinst.engine.processors import (
    MAX_THREADS,
    PIECES_WHERE_CORES_DIFFER,
    Processors,
    default_threads,
    makespan,
    usable_processors,
)

#: A phone with one, three and four cores of a kind, whose speeds differ by five.
PHONE = (1.0, 0.7, 0.7, 0.7, 0.2, 0.2, 0.2, 0.2)


def describe(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def frequencies(*kilohertz: int) -> dict[str, str]:
    folder = "sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq"
    return {folder.format(i): str(value) for i, value in enumerate(kilohertz)}


def capacities(*values: int) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu{i}/cpu_capacity": str(value) for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("files", "cores", "threads", "differ"),
    [
        pytest.param(frequencies(*[1_400_000] * 4), 4, 4, False, id="Raspberry Pi 3"),
        pytest.param(frequencies(*[1_800_000] * 4), 4, 4, False, id="Raspberry Pi 4"),
        pytest.param(frequencies(*[2_400_000] * 4), 4, 4, False, id="Raspberry Pi 5"),
        pytest.param(frequencies(*[1_000_000] * 4), 4, 4, False, id="Raspberry Pi Zero 2"),
        pytest.param({}, 64, 64, False, id="Graviton, which tells no frequencies"),
        pytest.param(frequencies(4_700_000, 5_000_000), 2, 2, False, id="turbo frequencies"),
        pytest.param(
            capacities(160, 160, 160, 160, 740, 740, 740, 1024) | frequencies(*[2_000_000] * 8),
            8,
            8,
            True,
            id="phone, 1 + 3 + 4, capacities before frequencies",
        ),
        pytest.param(capacities(0, 1024), 2, 2, False, id="a capacity that says nothing"),
        pytest.param({"sys/fs/cgroup/cpu.max": "50000 100000"}, 4, 1, False, id="half a processor, v2"),
        pytest.param({"sys/fs/cgroup/cpu.max": "max 100000"}, 4, 4, False, id="no quota, v2"),
        pytest.param({"sys/fs/cgroup/cpu.max": "150000 100000"}, 4, 2, False, id="one and a half"),
        pytest.param({"sys/fs/cgroup/cpu.max": "damaged"}, 4, 4, False, id="a damaged quota"),
        pytest.param(
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            4,
            1,
            False,
            id="one processor, v1",
        ),
        pytest.param(
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            4,
            4,
            False,
            id="no quota, v1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/system.slice/job",
                "sys/fs/cgroup/system.slice/cpu.max": "200000 100000",
                "sys/fs/cgroup/system.slice/job/cpu.max": "max 100000",
            },
            8,
            2,
            False,
            id="a quota of the group around",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/1\n3:memory:/docker/1",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
            },
            8,
            3,
            False,
            id="a group of v1",
        ),
    ],
)
def test_described_machines(
    tmp_path: Path, files: dict[str, str], cores: int, threads: int, differ: bool
) -> None:
    found = usable_processors(describe(tmp_path, files), range(cores))
    assert len(found.speeds) == cores
    assert found.speeds[0] == 1.0
    assert list(found.speeds) == sorted(found.speeds, reverse=True)
    assert found.differ == differ
    assert found.threads == threads


def test_only_allowed_cores_count(tmp_path: Path) -> None:
    root = describe(tmp_path, capacities(200, 200, 1024, 1024))
    assert usable_processors(root, {0, 1}) == Processors((1.0, 1.0))
    assert usable_processors(root, {2}).threads == 1


def test_variable_sets_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEINST_THREADS", " 3 ")
    assert default_threads() == 3
    monkeypatch.setenv("MOBILEINST_THREADS", "")
    assert default_threads() == usable_processors().threads


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1025", "9" * 5000])
def test_variable_that_is_no_number_of_threads(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MOBILEINST_THREADS", value)
    with pytest.raises(ValueError, match="MOBILEINST_THREADS: expected a whole number from 1 to 1024, got"):
        default_threads()


def test_short_pieces_keep_slow_cores_from_being_waited_for() -> None:
    ideal = 1.0 / sum(PHONE)
    assert makespan(PHONE, 1) == pytest.approx(1 / 8 / 0.2)  # the slow ones are waited for
    assert ideal <= makespan(PHONE, PIECES_WHERE_CORES_DIFFER) <= 0.30
    assert Processors(PHONE).threads == 8


def test_a_core_that_only_delays_is_left_out() -> None:
    assert Processors((1.0, 0.01)).threads == 1


def test_no_more_threads_than_the_pool_can_have() -> None:
    assert Processors((1.0,) * (MAX_THREADS + 500)).threads <= MAX_THREADS


def test_pool_cuts_work_into_more_pieces() -> None:
    pool = _native.ThreadPool(2, pieces=4)
    assert (pool.threads, pool.pieces) == (2, 4)
    with pytest.raises(ValueError, match="pieces"):
        _native.ThreadPool(2, pieces=0)
