"""A batch on a Ray cluster of two nodes, one of which is killed in the middle."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.io.png import write_png
from mobileinst.video import open_source
from tests.support.batch_data import (
    PACKAGES,
    call,
    command,
    copies,
    environment,
    left_over,
    read_summary,
    write_video,
    write_weights,
)

pytest.importorskip("ray")
pytest.importorskip("av")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SOURCES, FRAMES = 12, 40


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one processor each, as processes of this machine."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("PYTHONPATH", PACKAGES)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        made.second = made.add_node(**node)
        yield made
    finally:
        made.shutdown()
        monkeypatch.undo()


def journal(output: Path) -> list[dict[str, Any]]:
    path = output / ".batch" / "journal.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def test_evaluation_gives_the_results_of_one_process(cluster: Any, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "tiny.safetensors")
    annotations: dict[str, Any] = {"categories": [{"id": 1, "name": "person"}], "annotations": []}
    rng = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(6)]
    for name in names:
        write_png(tmp_path / name, rng.integers(0, 256, (50, 66, 3), np.uint8))
    size = {"height": 50, "width": 66}
    images = [{"id": number, "file_name": name, **size} for number, name in enumerate(names)]
    videos = [{"id": number, "file_names": names[number:], **size} for number in range(3)]
    for kind, items in (("coco", {"images": images}), ("ytvis", {"videos": videos})):
        (tmp_path / "a.json").write_text(json.dumps(annotations | items))
        arguments = ["eval", kind, "--annotations", "a.json", "--images", ".", "--weights", weights]
        arguments += ["--min-score", 0]
        one = call(*arguments, "--output", "one.json", cwd=tmp_path)
        many = call(*arguments, "--output", "many.json", "--ray", cluster.address, cwd=tmp_path)
        assert (one.returncode, many.returncode) == (0, 0), (one.stderr, many.stderr)
        assert json.loads((tmp_path / "one.json").read_text())
        assert (tmp_path / "one.json").read_bytes() == (tmp_path / "many.json").read_bytes()


def test_a_node_that_is_killed_costs_no_source(cluster: Any, tmp_path: Path) -> None:
    video, weights = write_video(tmp_path / "v.mp4", FRAMES), write_weights(tmp_path / "tiny.safetensors")
    copies(video, tmp_path / "clips", SOURCES)
    out = tmp_path / "out"
    arguments = ["batch", "clips", "--output", "out", "--weights", weights, "--mp4", "--ray", cluster.address]
    options = {"cwd": tmp_path, "env": environment(), "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command(*arguments), **options)
    try:
        deadline = time.monotonic() + 300
        # Until both nodes' workers have finished something, with much left to do.
        while len({record["worker"] for record in journal(out)}) < 2 and time.monotonic() < deadline:
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        done_before = len(journal(out))
        assert done_before < SOURCES - 2
        cluster.remove_node(cluster.second, allow_graceful=False)
        _, said = run.communicate(timeout=600)
    finally:
        run.kill()
    assert run.returncode == 0, said
    # Each source came to its end once.
    ended = journal(out)
    assert sorted(record["place"] for record in ended) == sorted(str(i) for i in range(SOURCES))
    records = read_summary(out)
    assert {record["status"] for record in records.values()} == {"done"}
    assert left_over(out) == []
    outputs = {(out / f"{i}.jsonl").read_bytes() for i in range(SOURCES)}
    assert len(outputs) == 1
    assert outputs.pop().count(b"\n") == FRAMES
    assert {sum(1 for _ in open_source(out / f"{i}.mp4")) for i in range(SOURCES)} == {FRAMES}
