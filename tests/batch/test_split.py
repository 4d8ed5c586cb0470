"""Sources in pieces: every frame is in one, and the joined tracks are those of the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobileinst import Instances, Segmenter, Weights
from mobileinst.batch.candidates import PieceResults, Prober, find_candidates
from mobileinst.batch.join import Joiner
from mobileinst.batch.options import Options
from mobileinst.batch.pieces import Cut, Piece, cut, read_piece
from mobileinst.cli import main
from mobileinst.io.png import write_png
from mobileinst.video import FrameSource, VideoError, open_source
from tests.support.batch_data import left_over, read_summary, write_video, write_weights
from tests.support.fake_model import ColorModel, scene
from tests.support.networks import CONFIG, make_metadata

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
        and np.array_equal(a.scores, b.scores)
        and np.array_equal(a.labels, b.labels)
        and all(np.array_equal(x, y) for x, y in zip(a.run_lengths, b.run_lengths, strict=True))
    )


def in_pieces(
    source: FrameSource, segmenter: Segmenter, folder: Path, options: Options, overlap: int
) -> list[Instances]:
    """The joined results, whose pieces went through files."""
    joiner = Joiner(segmenter.classes, options.tracker(), Prober(source, segmenter, options))
    joined: list[Instances] = []
    for piece in cut_of(source, options, overlap).pieces:
        results = find_candidates(source, piece, segmenter, options, lambda frames, total: None)
        results.save(folder / "piece.npz")
        joined.extend(joiner.add(piece, PieceResults.load(folder / "piece.npz")))
    return joined


@pytest.mark.parametrize("overlap", [0, 1, 4])
def test_joined_tracks_are_those_of_the_whole(colors: Segmenter, tmp_path: Path, overlap: int) -> None:
    source = squares(tmp_path)
    whole = list(colors.track(source.images(), tracker=SPLIT.tracker()))
    assert {len(instances) for instances in whole} >= {1, 2, 3}
    joined = in_pieces(source, colors, tmp_path, SPLIT, overlap)
    assert len(joined) == len(whole)
    assert all(same(a, b) for a, b in zip(joined, whole, strict=True))


class ActedScene:
    """Objects that look alike, move about, and whose scores wander through the thresholds.

    A frame's first pixels hold its number, and those of an object its mask: `ActedModel` knows the rest.
    """

    def __init__(self, seed: int, frames: int, objects: int) -> None:
        rng = np.random.default_rng(seed)
        steps = rng.normal(0, 0.12, (frames, objects)).cumsum(0) + rng.uniform(0.2, 0.7, objects)
        self.scores = np.abs((steps + 1) % 2 - 1).astype(np.float32)
        # Now and then all are out of sight for a while.
        for start in rng.integers(0, frames, 3):
            self.scores[start : start + rng.integers(5, 40)] = 0
        walk = rng.integers(-1, 2, (frames, objects, 2)).cumsum(0) + rng.integers(0, 12, (objects, 2))
        self.places = np.clip(walk, 0, 11)
        # One number of a kernel is common to all, and no pixel has such a feature. By the last one, which all
        # pixels have, a mask takes the object's rim along.
        alike, rim = rng.uniform(0.8, 2.5, (objects, 1)), np.zeros((objects, 1))
        self.kernels = 20 * np.hstack([np.eye(objects), alike, rim]).astype(np.float32)

    def write(self, folder: Path) -> FrameSource:
        folder.mkdir()
        for number in range(len(self.scores)):
            frame = np.zeros((8, 8, 3), np.uint8)
            frame[0, 0, 0] = number
            write_png(folder / f"{number:03}.png", frame)
        return open_source(folder, rate=10)


class ActedSession:
    """Takes the place of `engine.Session` for the frames of an ActedScene."""

    def __init__(self, acted: ActedScene) -> None:
        self.acted = acted

    def load_frame(self, frame: np.ndarray, *, bgr: bool = False) -> None:
        self.number = int(frame[0, 0, 0])

    def run_features(self) -> None:
        maps = np.full((len(self.acted.kernels) + 2, 16, 16), -1, np.float32)
        for row, (y, x) in enumerate(self.acted.places[self.number]):
            maps[row, max(y - 2, 0) : y + 7, max(x - 2, 0) : x + 7] = 0
            maps[row, y : y + 5, x : x + 5] = 1
        maps[-2], maps[-1] = 0, 1
        self.maps = maps

    def run_instances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores = np.clip(self.acted.scores[self.number], 1e-6, 1 - 1e-6)[:, None]
        # The look changes a little from frame to frame, the mask more.
        kernels = self.acted.kernels.copy()
        kernels[:, -2:] += np.sin(self.number + np.arange(len(kernels)))[:, None]
        logits = np.log(scores / (1 - scores)).astype(np.float32)
        return np.hstack([logits, logits - 5]), np.full_like(logits[:, 0], 50), kernels

    def mask_logits(self, kernels: np.ndarray, margin: float = 0.0) -> np.ndarray:
        return np.einsum("nd,dhw->nhw", kernels, self.maps).astype(np.float32)

    def boxes(self, kernels: np.ndarray, margin: float = 0.0) -> None:
        return None


@pytest.mark.parametrize(("seed", "iou_weight"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0)])
def test_tracks_that_are_weak_or_lost_at_seams_keep_their_ids(
    seed: int, iou_weight: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted = ActedScene(seed, frames=200, objects=5)
    source = acted.write(tmp_path / "frames")
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    model = replace(CONFIG, kernel_dim=7)
    segmenter = Segmenter(Weights({}, make_metadata(model, score_threshold=0.5)), size=(64, 96))
    monkeypatch.setattr(segmenter._model, "session", lambda height, width: ActedSession(acted))
    options = Options(split=2.0, iou_weight=iou_weight, forget_after=15)
    whole = list(segmenter.track(source.images(), tracker=options.tracker()))
    shown = [set(instances.ids.tolist()) for instances in whole]
    seams = range(21, 200, 21)
    assert any(shown[seam - 1] & shown[seam] for seam in seams)
    ids = set().union(*shown)
    # Some are away at a seam and come back.
    assert any(
        one not in shown[seam] and any(one in s for s in shown[:seam]) and any(one in s for s in shown[seam:])
        for seam in seams
        for one in ids
    )
    for overlap in (0, 1, 10):
        joined = in_pieces(source, segmenter, tmp_path, options, overlap)
        assert all(same(a, b) for a, b in zip(joined, whole, strict=True)), overlap


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
    assert whole == joined
    assert sum(1 for _ in open_source(tmp_path / "out/long.mp4")) == 50
