"""Several outputs of one run: all or none, earlier results kept, ids that no picture gets wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mobileinst
from mobileinst import Instances, Segmenter
from mobileinst.export import CocoSink, FrameResult, JsonLinesSink, PngMaskSink, id_picture
from mobileinst.export.mots import MotsSink
from mobileinst.pipeline import _discard, _finish, track
from mobileinst.video import Frame, FrameSource, VideoError


def square(track: int = 1, size: tuple[int, int] = (4, 5)) -> Instances:
    return Instances(size, [[5, 2, 2, 2, size[0] * size[1] - 11]], [0.5], [0], ["cat"], [track])


class Source(FrameSource):
    """Two frames, then perhaps an error that no source should raise."""

    name = "made"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __iter__(self) -> Any:
        for number in range(2):
            yield Frame(np.zeros((16, 16, 3), np.uint8), number / 10, f"frame {number}")
        if self.error is not None:
            raise self.error


def test_an_output_that_fails_leaves_all_as_they_were(tmp_path: Path) -> None:
    for name in ("a.jsonl", "m.txt"):
        (tmp_path / name).write_text("old")
    sinks = [JsonLinesSink(tmp_path / "a.jsonl"), MotsSink(tmp_path / "m.txt")]
    for sink in sinks:
        sink.write(FrameResult(0, 0.0, square()))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sinks[1]._file.fileno())
    os.close(full)
    with pytest.raises(OSError, match=r"can't write .*m\.txt: No space left on device"):
        _finish(sinks)
    _discard(sinks)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.jsonl": "old", "m.txt": "old"}


def test_masks_of_an_earlier_run_stay_until_the_next_one_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "masks"
    first = PngMaskSink(folder)
    first.write(FrameResult(0, 0.0, square()))
    first.finish()
    before = (folder / "000000.png").read_bytes()
    second = PngMaskSink(folder)
    second.write(FrameResult(0, 0.0, square(2)))
    assert (folder / "000000.png").read_bytes() == before
    second.discard()
    assert os.listdir(folder) == ["000000.png"]
    third = PngMaskSink(folder)
    third.write(FrameResult(0, 0.0, square(3)))
    third.finish()
    assert (folder / "000000.png").read_bytes() != before
    assert os.listdir(folder) == ["000000.png"]
    PngMaskSink(tmp_path / "new" / "folder").discard()
    assert not (tmp_path / "new").exists()


def test_ids_beyond_16_bits_are_colors(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 65535]])
    np.testing.assert_array_equal(id_picture(ids), ids.astype(np.uint16))
    wide = id_picture(np.array([[0, 65536, 70_000, (1 << 24) - 1]]))
    assert wide.dtype == np.uint8
    np.testing.assert_array_equal(wide.astype(int) @ [1, 256, 65536], [[0, 65536, 70_000, (1 << 24) - 1]])
    for ids in (np.array([[1 << 24]]), np.array([[-1]])):
        with pytest.raises(ValueError, match="expected ids of 0 to 16777215"):
            id_picture(ids)
    image_module = pytest.importorskip("PIL.Image")
    sink = PngMaskSink(tmp_path)
    sink.write(FrameResult(0, 0.0, square(70_000)))
    sink.finish()
    with image_module.open(tmp_path / "000000.png") as picture:
        assert np.unique(np.asarray(picture).astype(int) @ [1, 256, 65536]).tolist() == [0, 70_000]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000012.jpg", "7.png"], [12, 7]),
        (["12.jpg", "b.png"], [1, 2]),
        (["a/3.jpg", "b/3.jpg"], [1, 2]),
        (["2.jpg", "x.png", "1.jpg"], [1, 2, 3]),
        (["٣.jpg", "²"], [1, 2]),
    ],
)
def test_images_of_coco_results_never_share_an_id(tmp_path: Path, names: list[str], ids: list[int]) -> None:
    sink = CocoSink(tmp_path / "c.json")
    for number, name in enumerate(names):
        sink.write(FrameResult(number, 0.0, square(), name))
    sink.finish()
    assert [entry["image_id"] for entry in json.loads((tmp_path / "c.json").read_text())] == ids


def test_outputs_that_would_replace_what_is_read_are_refused(tmp_path: Path) -> None:
    model = Segmenter(size=64, threads=1)
    source = Source()
    (tmp_path / "000000.png").write_bytes(b"picture")
    source.files = lambda: [str(tmp_path / "000000.png")]  # type: ignore[method-assign]
    for outputs in ({"masks": tmp_path}, {"json": tmp_path / "000000.png"}):
        with pytest.raises(VideoError, match="can't"):
            track(source, model, outputs, quiet=True)
    assert (tmp_path / "000000.png").read_bytes() == b"picture"
    assert os.listdir(tmp_path) == ["000000.png"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, redirection: str) -> None:
    np.save(tmp_path / "f.npy", np.zeros((3, 48, 64, 3), np.uint8))
    (tmp_path / "run.py").write_text("import sys; from mobileinst.cli import main; sys.exit(main())")
    path = os.pathsep.join(str(Path(folder).parent) for folder in mobileinst.__path__)

    def run(json_path: str) -> subprocess.CompletedProcess[str]:
        line = f"{sys.executable} run.py track f.npy --size 64 --json {json_path} {redirection}"
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = run("o.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 3
    if redirection == "2>&-":
        assert [json.loads(line)["frame"] for line in run("-").stdout.splitlines()] == [0, 1, 2]
    if redirection == ">&-":
        done = run("-")
        assert done.returncode == 2
        assert done.stderr == "mobileinst: error: can't write to standard output: it is closed\n"
