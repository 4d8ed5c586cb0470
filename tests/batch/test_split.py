"""Sources in pieces: every frame is in one, and the joined tracks are those of the whole."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst import Instances, Segmenter, Weights
from mobileinst.batch.join import Joiner
from mobileinst.batch.options import Options
from mobileinst.batch.pieces import Cut, Piece, PieceResults, cut, read_piece, track_piece
from mobileinst.cli import main
from mobileinst.io.png import write_png
from mobileinst.video import FrameSource, VideoError, open_source
from tests.support.batch_data import left_over, read_summary, write_video, write_weights
from tests.support.fake_model import ColorModel, scene
from tests.support.networks import make_metadata

av = pytest.importorskip("av")
pytest.importorskip("PIL")

SPLIT = Options(split=1.0, keyframe_every=3)


def write_groups(path: Path, frames: int, group: int) -> Path:
    """A video with a keyframe of the codec every `group` frames, and frames that refer to later ones."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"x264-params": f"keyint={group}:min-keyint={group}:scenecut=0:bframes=2:open-gop=1"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number, 1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_of(source: FrameSource, options: Options = SPLIT, overlap: int = 2) -> Cut:
    plan = cut(source, options, overlap)
    assert plan is not None
    return plan


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("group", [7, 1000])
def test_pieces_of_a_video_are_its_frames(tmp_path: Path, suffix: str, group: int) -> None:
    source = open_source(write_groups(tmp_path / f"x{suffix}", 50, group))
    frames = list(source)
    plan = cut_of(source)
    assert plan.times == pytest.approx([frame.time for frame in frames], abs=1e-9)
    assert [(piece.first, piece.shown, piece.end) for piece in plan.pieces] == [
        (0, 0, 12),
        (6, 12, 24),
        (18, 24, 36),
        (30, 36, 50),
    ]
    for piece in plan.pieces:
        images = list(read_piece(source, piece))
        assert len(images) == piece.end - piece.first
        for image, frame in zip(images, frames[piece.first : piece.end], strict=True):
            assert np.array_equal(image, frame.image)


def test_pieces_of_a_folder_are_its_images(tmp_path: Path) -> None:
    for number in range(20):
        write_png(tmp_path / f"{number}.png", np.full((8, 8, 3), number, np.uint8))
    source = open_source(tmp_path, rate=10)
    plan = cut_of(source, Options(split=0.5, keyframe_every=2), overlap=1)
    shown = [
        int(image[0, 0, 0])
        for piece in plan.pieces
        for image in list(read_piece(source, piece))[piece.shown - piece.first :]
    ]
    assert shown == list(range(20))
    assert all(piece.first % 2 == 0 for piece in plan.pieces)
    assert plan.times == tuple(frame.time for frame in source)


def test_what_is_short_or_no_sequence_stays_whole(tmp_path: Path) -> None:
    video = open_source(write_video(tmp_path / "x.mp4", 30))
    assert cut(video, Options(split=1.0)) is None
    assert cut(video, Options()) is None
    assert cut(video, Options(split=0.5, max_frames=12)) is None
    assert cut_of(video, Options(split=0.5, max_frames=27)).pieces[-1].end == 27
    assert cut(open_source(write_groups(tmp_path / "x.avi", 30, 10)), SPLIT) is None
    write_png(tmp_path / "one.png", np.zeros((8, 8, 3), np.uint8))
    assert cut(open_source(tmp_path / "one.png"), SPLIT) is None


def test_pieces_that_lack_frames_are_told(tmp_path: Path) -> None:
    source = open_source(write_groups(tmp_path / "x.mp4", 30, 10))
    last = cut_of(source).pieces[-1]
    wrong = Piece(last.number, last.first, last.shown, last.end + 1, last.seek, last.first_stamp, None)
    with pytest.raises(VideoError, match="can't be read apart"):
        list(read_piece(source, wrong))


def squares(tmp_path: Path, frames: int = 60) -> FrameSource:
    """Three squares that cross the picture; the green one leaves for a while, the blue one comes late."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for t in range(frames):
        places = {"red": (8, 2 * t % 70)}
        if not 14 <= t < 30:
            places["green"] = (36, t % 60)
        if t >= 40:
            places["blue"] = (36, 72)
        write_png(folder / f"{t}.png", scene(**places))
    return open_source(folder, rate=10)


@pytest.fixture
def colors(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    return Segmenter(Weights({}, make_metadata(score_threshold=0.5)), size=(64, 96))


def same(a: Instances, b: Instances) -> bool:
    return (
        np.array_equal(a.ids, b.ids)
        and a.names == b.names
        and all(np.array_equal(x, y) for x, y in zip(a.run_lengths, b.run_lengths, strict=True))
    )


@pytest.mark.parametrize("overlap", [0, 1, 4])
def test_joined_tracks_are_those_of_the_whole(colors: Segmenter, tmp_path: Path, overlap: int) -> None:
    source = squares(tmp_path)
    whole = list(colors.track(source.images()))
    assert {len(instances) for instances in whole} >= {1, 2, 3}
    joiner = Joiner(3, 30)
    joined: list[Instances] = []
    for piece in cut_of(source, overlap=overlap).pieces:
        results = track_piece(source, piece, colors, SPLIT, lambda frames, total: None)
        results.save(tmp_path / "piece.npz")
        joined.extend(joiner.add(piece, PieceResults.load(tmp_path / "piece.npz", colors.classes)))
    assert len(joined) == len(whole)
    assert all(same(a, b) for a, b in zip(joined, whole, strict=True))


def results_of(piece: Piece, tracks: dict[int, tuple[int, int, Any]]) -> PieceResults:
    """Made results: (first frame, last frame, kernel) of each track; every frame is a keyframe."""
    found, seen = [], []
    for frame in range(piece.first, piece.end):
        here = [track for track, (first, last, _) in tracks.items() if first <= frame <= last]
        runs = [np.array([track % 4, 1, 3 - track % 4], np.uint32) for track in here]
        names, ones = ["x"] * len(here), np.ones(len(here))
        found.append(Instances((2, 2), runs, ones, np.zeros(len(here)), names, here))
        seen += [(frame - piece.first, track, np.float32(tracks[track][2])) for track in here]
    return PieceResults(piece.first, found, seen)


def test_joining_by_kernels() -> None:
    joiner = Joiner(1, forget_after=5)
    first = Piece(0, 0, 0, 10)
    a, b, c = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    list(joiner.add(first, results_of(first, {1: (0, 9, a), 2: (1, 9, b), 3: (0, 6, c)})))
    # In the overlap the second piece numbers them its own way; later a lost one returns, and one is new.
    second = Piece(1, 8, 10, 20)
    tracks = {1: (8, 19, b), 2: (8, 19, a), 3: (11, 19, c), 4: (12, 19, (1, 1, 1))}
    joined = list(joiner.add(second, results_of(second, tracks)))
    assert [instances.ids.tolist() for instances in joined[:3]] == [[1, 3], [1, 2, 3], [1, 2, 3, 4]]
    # One that is gone for too long is another one when it returns.
    third = Piece(2, 18, 20, 40)
    joined = list(joiner.add(third, results_of(third, {1: (18, 22, a), 2: (35, 39, b)})))
    assert joined[0].ids.tolist() == [1]
    assert joined[-1].ids.tolist() == [5]


def test_batch_writes_the_outputs_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = write_weights(tmp_path / "tiny.safetensors")
    clips = tmp_path / "clips"
    clips.mkdir()
    write_groups(clips / "long.mp4", 50, 10)
    write_video(clips / "short.mp4", 9)
    (clips / "bad.mp4").write_bytes(b"no video")
    arguments = ["batch", "clips", "--weights", str(weights), "--mots", "--score-threshold", "0"]
    assert main([*arguments, "-o", "whole"]) == 1
    assert main([*arguments, "-o", "out", "--split", "1", "--mp4"]) == 1
    records = read_summary(tmp_path / "out")
    assert {place: record["status"] for place, record in records.items()} == {
        "bad": "failed",
        "long": "done",
        "short": "done",
    }
    assert records["long"]["frames"] == 50
    assert left_over(tmp_path / "out") == []
    assert (tmp_path / "out/short.jsonl").read_bytes() == (tmp_path / "whole/short.jsonl").read_bytes()
    whole, joined = (
        [json.loads(line) for line in (tmp_path / folder / "long.jsonl").read_text().splitlines()]
        for folder in ("whole", "out")
    )
    for key in ("frame", "time", "width", "height"):
        assert [record[key] for record in whole] == [record[key] for record in joined]
    assert whole[:12] == joined[:12]
    assert sum(1 for _ in open_source(tmp_path / "out/long.mp4")) == 50
