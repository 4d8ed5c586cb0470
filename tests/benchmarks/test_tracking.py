"""The pieces of the benchmark of tracking: the replayed network, the made clips, the chart."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from benchmarks import followed, kernel_reuse, track_precision
from benchmarks.support.recorded import RecordedModel
from benchmarks.support.results import make_result
from benchmarks.support.videos import Video
from mobileinst import Segmenter, Weights
from mobileinst.evaluation import youtube_vis
from tests.support.eval_data import annotations, box
from tests.support.fake_model import ColorModel, scene
from tests.support.networks import make_metadata


def test_replay_gives_the_same_tracks_and_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    metadata = make_metadata(classes=["square", "other"], score_threshold=0.5)
    plain = Segmenter(Weights({}, metadata), size=(64, 96))
    replayed = Segmenter(Weights({}, metadata), size=(64, 96))
    recorded = RecordedModel(replayed._model)
    replayed._model = recorded  # type: ignore[assignment]
    frames = [scene(red=(8, 8 + 6 * t), blue=(32, 60 - 6 * t)) for t in range(6)]
    for interval in (1, 3):
        expected = [(i.ids.tolist(), i.rle()) for i in plain.track(frames, keyframe_every=interval)]
        found = [(i.ids.tolist(), i.rle()) for i in replayed.track(frames, keyframe_every=interval)]
        assert found == expected
    assert len(recorded.milliseconds["features"]) == len(frames)


def test_precision_of_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two squares one is annotated: the other's track is false."""
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    metadata = make_metadata(classes=["square", "other"], score_threshold=0.5)
    segmenter = Segmenter(Weights({}, metadata), size=(64, 96))
    monkeypatch.setattr(track_precision, "Segmenter", lambda weights, size: segmenter)
    frames = [scene(red=(8, 8 + 6 * t), blue=(32, 60 - 6 * t)) for t in range(6)]
    masks = [box(64, 96, 8, 8 + 6 * t, 24, 24) for t in range(6)]
    dataset = annotations([masks], 64, 96)
    dataset["categories"] = [{"id": 1, "name": "square"}]
    run = track_precision.measure(None, [Video("a", ("made clips", "a"), frames, dataset)] * 2, None)
    counts = run["sets"]["made clips"]["square"]
    assert (counts["objects"], counts["followed"], counts["shown"], counts["true"]) == (2, 2, 4, 2)
    assert counts["false_per_minute"] == pytest.approx(2 / (12 / 24 / 60))
    table = track_precision.markdown(make_result("track_precision", runs=[run], clips=1, seed=0))
    assert table.splitlines()[-1] == "| made clips, square | 2 | 2 | 100.0 | 4 | 2 | 50.0 | 240.0 |"


def test_how_well_an_object_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square is found in four frames; an object of four times its size is not."""
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    metadata = make_metadata(classes=["square", "other"], score_threshold=0.5)
    segmenter = Segmenter(Weights({}, metadata), size=(64, 96))
    frames = [scene(red=(8, 8 + 6 * t)) for t in range(4)]
    masks = [box(64, 96, 8, 8 + 6 * t, 24, 24) for t in range(4)]
    larger = [box(64, 96, 8, 8 + 6 * t, 48, 48) for t in range(4)]
    dataset = annotations([masks, larger], 64, 96)
    dataset["categories"] = [{"id": 1, "name": "square"}]
    found = followed.measure(segmenter, Video("a", ("davis_val",), frames, dataset))
    assert [(x["class"], x["frames"], x["followed"]) for x in found] == [
        ("square", 4, 1.0),
        ("square", 4, 0.0),
    ]
    assert found[0]["best"] > 0.7
    assert 0.2 < found[1]["best"] < 0.5
    wrong = followed.follow(
        dataset["annotations"][0]["segmentations"], "other", list(segmenter.track(frames))
    )
    assert (wrong["best"], wrong["followed"]) == (found[0]["best"], 0.0)
    run = {"weights": "w", "size": 64, "precision": "fp32", "objects": found}
    table = followed.markdown(make_result("followed", runs=[run], clips=1, seed=0)).splitlines()
    assert (
        table[-1] == f"| davis_val | mean |  | 8 | {(found[0]['best'] + found[1]['best']) / 2:.3f} | 50 % |"
    )


def test_made_clips(shared: Path) -> None:
    pytest.importorskip("PIL")
    from benchmarks.support.made_clips import make_clips

    folder = shared / "data" / "coco_val"
    clips = {clip.name: clip for clip in make_clips(folder, 1, kinds=("occlusion", "reentry"))}
    for clip in clips.values():
        assert clip.frames.shape == (48, 480, 640, 3)
        # The annotations are good as a dataset: each object found as itself is a perfect result.
        results = [{**entry, "score": 1.0} for entry in clip.dataset["annotations"]]
        assert youtube_vis.evaluate(clip.dataset, results)["AP"] == pytest.approx(1)
    seen = [
        [mask is not None for mask in entry["segmentations"]]
        for name in ("occlusion-0", "reentry-0")
        for entry in clips[name].dataset["annotations"]
    ]
    hidden, stays, leaves = seen
    assert all(stays)
    for track in (hidden, leaves):
        assert track[0]
        assert track[-1]
        assert not all(track)
    again = next(make_clips(folder, 1, kinds=("occlusion",)))
    np.testing.assert_array_equal(again.frames, clips["occlusion-0"].frames)


def test_chart(tmp_path: Path) -> None:
    charts = pytest.importorskip("benchmarks.support.charts", exc_type=ImportError)
    panels = [
        charts.Panel("a < b", {"one": [1, 2, 4], "two": [0, None, -3]}),
        charts.Panel("c", {"two": [0, 0, 0]}),
    ]
    figure = charts.line_charts("title", "x", (1, 2, 8), [panels, panels[:1]])
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in drawn] == ["a < b", "c", "a < b"]
    (one, two), (again,) = drawn[0].lines, drawn[1].lines
    np.testing.assert_array_equal(one.get_ydata(), [1, 2, 4])
    np.testing.assert_array_equal(two.get_ydata(), [0, np.nan, -3])
    assert one.get_color() != two.get_color() == again.get_color()
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == ["1", "2", "8"]
    charts.save(figure, tmp_path / "chart.svg")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert "a < b" in ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    first = (tmp_path / "chart.svg").read_bytes()
    charts.save(charts.line_charts("title", "x", (1, 2, 8), [panels, panels[:1]]), tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_bytes() == first


def test_reused_kernels_are_compared_with_fresh_ones() -> None:
    """Two objects that move right; in the last frame the kernels of the queries change places."""
    frames, size = 5, (4, 12)
    truth = np.zeros((frames, 2, *size), np.bool_)
    for t in range(frames):
        truth[t, 0, :2, t : t + 4] = True
        truth[t, 1, 2:, t + 4 : t + 8] = True
    features = [np.concatenate([2.0 * t - 1, np.ones((1, *size))]).astype(np.float32) for t in truth]
    kernel = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, -1]])
    kernels = [kernel] * (frames - 1) + [kernel[[1, 0, 2]]]
    found = kernel_reuse.compare(kernels, features, truth)
    for distance, pairs in ((0, 10), (1, 8), (2, 6), (4, 2)):
        row = found[distance].row()
        assert row == {"pairs": pairs, "reused": 100, "fresh": 100, "again": 100}
    assert found[7].reused == []
    kernels[-1] = kernel[[0, 2, 2]]  # the second object is lost
    row = kernel_reuse.compare(kernels, features, truth)[4].row()
    assert (row["reused"], row["fresh"], row["again"]) == (100, 50, 50)
