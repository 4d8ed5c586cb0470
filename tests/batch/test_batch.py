"""`mobileinst batch`: results as of `track`, restarts, sources that fail or kill their worker, signals."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.batch import Options, Source, Workers, run_batch
from mobileinst.batch.progress import BatchProgress
from mobileinst.cli import main
from mobileinst.io.png import write_png
from mobileinst.video import VideoError, open_source
from mobileinst.weights import load_weights
from tests.support.batch_data import (
    call,
    command,
    copies,
    environment,
    left_over,
    read_summary,
    write_video,
    write_weights,
)

pytest.importorskip("av")
pytest.importorskip("PIL")

FRAMES = 9


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.safetensors, and in clips/ two videos and a folder of images."""
    folder = tmp_path_factory.mktemp("material")
    write_weights(folder / "tiny.safetensors")
    (folder / "clips" / "sub" / "frames").mkdir(parents=True)
    write_video(folder / "clips" / "a.mp4", FRAMES)
    write_video(folder / "clips" / "sub" / "b.mp4", FRAMES, seed=1)
    rng = np.random.default_rng(2)
    for number in range(4):
        picture = rng.integers(0, 256, (50, 66, 3), np.uint8)
        write_png(folder / "clips" / "sub" / "frames" / f"{number}.png", picture)
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Run:
    """What a call of the command line gave."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def batch(
    material: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Calls `mobileinst batch ARGUMENTS --output out` within this process and the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> Run:
        given = ["batch", "--weights", material / "tiny.safetensors", "--output", "out", *arguments]
        try:
            code = main([str(argument) for argument in given])
        except SystemExit as leave:
            code = int(str(leave.code))
        return Run(code, *capfd.readouterr())

    return run


def tracked(material: Path, source: str, folder: Path) -> None:
    """What `track` makes of a source, as folder/x.*."""
    folder.mkdir()
    files = ["-o", "x.mp4", "--json", "x.jsonl", "--picture", "x.png", "--mots", "x.mots.txt"]
    files += ["--youtube-vis", "x.youtube-vis.json", "--masks", "x.masks"]
    weights = material / "tiny.safetensors"
    done = call("track", material / "clips" / source, "--weights", weights, "--boxes", *files, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_outputs_are_those_of_track(material: Path, tmp_path: Path, batch: Callable[..., Run]) -> None:
    formats = ["--mp4", "--picture", "--youtube-vis", "--mots", "--masks", "--report"]
    done = batch(material / "clips", *formats, "--jobs", 2, "--boxes")
    assert done.returncode == 0, done.stderr
    assert "3 sources: 3 done, 0 failed" in done.stdout
    for place, source in (("a", "a.mp4"), ("sub/b", "sub/b.mp4"), ("sub/frames", "sub/frames")):
        single, ours = tmp_path / place.replace("/", "-"), tmp_path / "out" / place
        tracked(material, source, single)
        for suffix in (".jsonl", ".png", ".youtube-vis.json", ".mots.txt"):
            assert digest(ours.with_name(ours.name + suffix)) == digest(single / f"x{suffix}"), (
                place,
                suffix,
            )
        masks = [ours.with_name(f"{ours.name}.masks"), single / "x.masks"]
        assert "<html" in ours.with_name(f"{ours.name}.html").read_text()
        ids, their_ids = ([digest(path) for path in sorted(folder.iterdir())] for folder in masks)
        assert ids == their_ids
        # The encoder's threads don't always give the same bits.
        videos = [ours.with_name(f"{ours.name}.mp4"), single / "x.mp4"]
        times, their_times = ([frame.time for frame in open_source(video)] for video in videos)
        assert times == their_times
    records = read_summary(tmp_path / "out")
    assert list(records) == ["a", "sub/b", "sub/frames"]
    record = records["sub/b"]
    assert (record["status"], record["frames"], record["error"]) == ("done", FRAMES, None)
    assert record["frames_per_second"] == pytest.approx(FRAMES / record["seconds"], rel=0.02)
    assert record["outputs"]["json"] == "sub/b.jsonl"
    assert record["versions"]["mobileinst"]
    assert left_over(tmp_path / "out") == []


def test_a_restart_does_what_is_left_or_has_changed(
    material: Path, tmp_path: Path, batch: Callable[..., Run]
) -> None:
    clips = tmp_path / "clips"
    copies(material / "clips" / "a.mp4", clips, 4)
    out = tmp_path / "out"
    assert batch(clips).returncode == 0
    marks = {path.name: path.stat().st_mtime_ns for path in out.glob("*.jsonl")}
    assert len(marks) == 4

    def done_again(*arguments: Any) -> set[str]:
        run = batch(clips, *arguments)
        assert run.returncode == 0, run.stderr
        now = {path.name: path.stat().st_mtime_ns for path in out.glob("*.jsonl")}
        changed = {name for name in now if now[name] != marks.get(name)}
        assert f"{len(now)} done ({len(now) - len(changed)} by an earlier run)" in run.stdout or (
            len(changed) == len(now)
        )
        marks.update(now)
        return changed

    assert done_again() == set()
    assert done_again("--jobs", 1, "--threads", 2, "--retries", 5) == set()
    os.utime(clips / "1.mp4")
    (out / "2.jsonl").unlink()
    copies(material / "clips" / "a.mp4", tmp_path / "more", 1)
    (tmp_path / "more" / "0.mp4").rename(clips / "4.mp4")
    with (out / ".batch" / "journal.jsonl").open("a") as journal:
        journal.write('{"place": "tor')
    assert done_again() == {"1.jsonl", "2.jsonl", "4.jsonl"}
    assert done_again("--keyframe-every", 2) == {f"{i}.jsonl" for i in range(5)}


def test_a_source_that_fails_fails_alone(material: Path, tmp_path: Path, batch: Callable[..., Run]) -> None:
    clips = tmp_path / "clips"
    copies(material / "clips" / "a.mp4", clips, 3)
    (clips / "bad.mp4").write_bytes(b"no video " * 100)
    os.mkfifo(clips / "hangs.mp4")
    (tmp_path / "list.txt").write_text(f"{clips}\nmissing.mp4\n")
    run = batch("list.txt", "--timeout", 2, "--retries", 1, "--root", ".")
    assert run.returncode == 1
    assert "6 sources: 3 done, 3 failed" in run.stdout
    records = read_summary(tmp_path / "out")
    assert "can't be opened as a video" in records["clips/bad"]["error"]
    assert records["clips/bad"]["attempts"] == 1
    assert records["clips/hangs"]["error"] == "no progress for 2 s in each of 2 tries"
    assert records["clips/hangs"]["attempts"] == 2
    assert "does not exist" in records["missing"]["error"]
    assert [records[f"clips/{i}"]["status"] for i in range(3)] == ["done"] * 3
    assert sorted(p.name for p in (tmp_path / "out" / "clips").iterdir()) == ["0.jsonl", "1.jsonl", "2.jsonl"]
    assert left_over(tmp_path / "out") == []
    assert run.stderr.count("FAILED") == 3


def test_a_killed_worker_costs_a_try_of_its_source(material: Path, tmp_path: Path) -> None:
    copies(material / "clips" / "a.mp4", tmp_path / "clips", 4)
    sources = [Source(str(tmp_path / "clips" / f"{i}.mp4"), str(i)) for i in range(4)]
    killed: list[int] = []

    def kill_the_first_at_work() -> None:
        import multiprocessing

        attempts = tmp_path / "out" / ".batch" / "attempts"
        while not (attempts.is_dir() and any(attempts.iterdir())):
            time.sleep(0.001)
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
            break

    killer = threading.Thread(target=kill_the_first_at_work)
    killer.start()
    weights = load_weights(material / "tiny.safetensors")
    report = run_batch(sources, tmp_path / "out", weights, Options(), Workers(1))
    killer.join()
    assert killed
    assert report.count("done") == 4
    assert left_over(tmp_path / "out") == []
    outputs = {(tmp_path / "out" / f"{i}.jsonl").read_bytes() for i in range(4)}
    assert len(outputs) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_cleanly(material: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    copies(material / "clips" / "a.mp4", tmp_path / "clips", 400)
    out = tmp_path / "out"
    arguments = ["batch", "clips", "--weights", material / "tiny.safetensors", "--output", "out", "--mp4"]
    run = subprocess.Popen(
        command(*arguments, "--jobs", 2),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    # As a terminal does it: to the driver and its workers alike.
    (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == code, said
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    assert left_over(out) == []
    records = read_summary(out)
    done = {place for place, record in records.items() if record["status"] == "done"}
    assert 0 < len(done) < 400
    assert {record["status"] for record in records.values()} == {"done", "pending"}
    for path in out.glob("*.jsonl"):
        assert len(path.read_text().splitlines()) == FRAMES
    assert done <= {path.stem for path in out.glob("*.jsonl")}


def test_a_second_run_in_the_same_folder_is_refused(
    material: Path, tmp_path: Path, batch: Callable[..., Run]
) -> None:
    from mobileinst.batch.journal import Journal

    with closing(Journal(tmp_path / "out")):
        run = batch(material / "clips")
        assert run.returncode == 2
        assert "another batch is at work in out" in run.stderr
    assert batch(material / "clips").returncode == 0


def test_outputs_never_replace_sources(material: Path, tmp_path: Path) -> None:
    copies(material / "clips" / "a.mp4", tmp_path / "clips", 1)
    weights = load_weights(material / "tiny.safetensors")
    source = Source(str(tmp_path / "clips" / "0.mp4"), "0")
    before = Path(source.path).read_bytes()
    with pytest.raises(VideoError, match="would replace"):
        run_batch([source], tmp_path / "clips", weights, Options(("json", "video")), Workers(1))
    with pytest.raises(VideoError, match="would both be written to"):
        run_batch([source, Source("x.mp4", "0")], tmp_path / "out", weights, Options(), Workers(1))
    other = Source(str(tmp_path / "out" / "summary.json"), "x")
    with pytest.raises(VideoError, match="is the batch's own"):
        run_batch([other], tmp_path / "out", weights, Options(), Workers(1))
    assert Path(source.path).read_bytes() == before


def test_names_as_long_as_the_file_system_takes(
    material: Path, tmp_path: Path, batch: Callable[..., Run]
) -> None:
    (tmp_path / "in").mkdir()
    names = ["é" * 125 + "1.mp4", "é" * 125 + "2.mp4", "x" * 251 + ".mp4"]
    assert [len(os.fsencode(name)) for name in names] == [255] * 3
    for name in names:
        shutil.copy(material / "clips" / "a.mp4", tmp_path / "in" / name)
    done = batch("in", "--jobs", 1, "--mp4", "--masks", "--youtube-vis")
    assert done.returncode == 0, done.stderr
    written = [
        name for record in read_summary(tmp_path / "out").values() for name in record["outputs"].values()
    ]
    assert len(set(written)) == 12
    assert all((tmp_path / "out" / name).exists() and len(os.fsencode(name)) <= 255 for name in written)
    assert batch("in", "--jobs", 1, "--mp4", "--masks", "--youtube-vis").stdout.startswith(
        "3 sources: 3 done (3 by an earlier run)"
    )


def test_a_source_whose_place_is_taken_fails_alone(
    material: Path, tmp_path: Path, batch: Callable[..., Run]
) -> None:
    copies(material / "clips" / "a.mp4", tmp_path / "in", 2)
    (tmp_path / "out" / "1.jsonl" / "full").mkdir(parents=True)
    assert batch("in", "--jobs", 1).returncode == 1
    records = read_summary(tmp_path / "out")
    assert records["0"]["status"] == "done"
    assert records["1"]["error"] == "can't write out/1.jsonl: Is a directory"
    assert left_over(tmp_path / "out") == []


def test_a_damaged_video_keeps_the_frames_before(
    material: Path, tmp_path: Path, batch: Callable[..., Run]
) -> None:
    video = write_video(tmp_path / "whole.mkv", 60)
    content = video.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    run = batch("cut.mkv", "--mp4")
    assert run.returncode == 1
    record = read_summary(tmp_path / "out")["cut"]
    assert record["status"] == "failed"
    assert "ends early" in record["error"]
    assert 0 < record["frames"] < 60
    assert len((tmp_path / "out" / "cut.jsonl").read_text().splitlines()) == record["frames"]
    assert (tmp_path / "out" / "cut.mp4").is_file()


def test_what_is_left_is_told_by_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BatchProgress({"a": 100, "b": 300}, 2, 0)
    assert progress.left() is None
    progress._start -= 10
    progress.step("b", 1, 3)
    assert progress.left() == pytest.approx(30, rel=0.05)
    record = {"source": "a.mp4", "place": "a", "status": "done", "frames": 5, "tracks": 1}
    progress.end({**record, "frames_per_second": 2.5})
    assert progress.left() == pytest.approx(10, rel=0.05)
    assert capsys.readouterr().err == "3/4 a.mp4: 5 frames, 1 track, 2.5 frames/s\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--jobs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--retries", "-1"], "expected a whole number of at least 0"),
        (["--timeout", "nan"], "expected seconds above 0, got 'nan'"),
    ],
)
def test_arguments_are_checked(
    material: Path, tmp_path: Path, batch: Callable[..., Run], arguments: list[str], text: str
) -> None:
    run = batch(material / "clips", *arguments)
    assert run.returncode == 2
    assert text in run.stderr
    assert not (tmp_path / "out").exists()


def test_the_summary_says_what_it_ran_with(material: Path, tmp_path: Path, batch: Callable[..., Run]) -> None:
    assert batch(material / "clips" / "a.mp4", "--mots").returncode == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["options"]["outputs"] == ["json", "mots"]
    assert summary["counts"] == {"done": 1, "failed": 0, "pending": 0}
    assert summary["workers"]["threads"] == 1
