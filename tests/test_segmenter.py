"""The Segmenter: checks of its input, scores and masks, and identities over constructed videos."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst import Backbone, Segmenter, Tracker, Weights
from mobileinst.segmenter import network_size
from mobileinst.weights import WeightsError, available_weights, save_weights
from tests.support.fake_model import ColorModel, ColorSession, scene
from tests.support.networks import CONFIG, make_metadata, make_tensors

FAKE_METADATA = make_metadata(classes=["square", "other"], score_threshold=0.5)


@pytest.fixture
def colors(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """A Segmenter whose network finds squares by their color."""
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    return Segmenter(Weights({}, FAKE_METADATA), size=(64, 96))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    """A Segmenter on a small network with random weights."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_weights(path, tame_tensors(), make_metadata())
    return Segmenter(path, threads=1)


def tame_tensors() -> dict[str, np.ndarray]:
    """Random tensors of either sign, whose activations stay in range."""
    tensors = {name: tensor - 0.5 for name, tensor in make_tensors().items()}
    for name in tensors:
        if name.endswith("running_var"):
            tensors[name] = tensors[name] + 1
    return tensors


def ids(frames: Iterator[Any]) -> list[list[int]]:
    return [inst.ids.tolist() for inst in frames]


def test_segment_finds_the_squares(colors: Segmenter) -> None:
    frame = scene(red=(8, 8), blue=(32, 56))
    inst = colors.segment(frame)
    assert inst.names == ["square", "square"]
    assert inst.ids.tolist() == [-1, -1]
    assert inst.size == (64, 96)
    assert sorted(inst.boxes[:, 0].round(-1).tolist()) == [10, 60]
    assert (inst.scores > 0.9).all()
    assert len(colors.segment(scene())) == 0
    assert len(colors.segment(frame, score_threshold=0.999)) == 0
    assert len(colors.segment(frame, score_threshold=[0.999, 0])) == 0


def test_new_tracks_need_more_than_objects_of_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    frame = scene(red=(8, 8))
    probe = Segmenter(Weights({}, FAKE_METADATA), size=(64, 96))
    score = float(probe.segment(frame).scores[0])
    for ratio, seen in ((1.2, 0), (1.3, 1)):
        metadata = {**FAKE_METADATA, "score_threshold": score / ratio}
        segmenter = Segmenter(Weights({}, metadata), size=(64, 96))
        assert len(segmenter.segment(frame)) == 1
        assert len(next(segmenter.track([frame]))) == seen
        assert len(next(segmenter.track([frame], score_threshold=score / ratio))) == 1


def test_scores_follow_the_powers_of_the_weights(tiny: Segmenter) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def scores(*powers: float) -> np.ndarray:
        metadata = {**tiny.weights.metadata, "score_powers": list(powers)}
        inst = Segmenter(Weights(tiny.weights.tensors, metadata), duplicate_iou=1).segment(image, 0)
        return inst.scores[np.lexsort(inst.boxes.T)]

    factors = [scores(1, 0, 0), scores(0, 1, 0), scores(0, 0, 1)]
    assert all((factor < 0.99).all() for factor in factors)
    expected = factors[0] ** 0.5 * factors[1] ** 0.25 * factors[2] ** 3
    np.testing.assert_allclose(scores(0.5, 0.25, 3), expected, rtol=1e-5)
    usual = Segmenter(tiny.weights, duplicate_iou=1).segment(image, 0)
    np.testing.assert_allclose(usual.scores[np.lexsort(usual.boxes.T)], scores(0.5, 0.5, 1), rtol=1e-6)


def test_masks_keep_their_heaviest_component(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    frame = scene(red=(8, 8))
    frame[48:56, 80:88] = frame[8, 8]
    whole = Segmenter(Weights({}, FAKE_METADATA), size=(64, 96), components="all")
    heaviest = Segmenter(Weights({}, FAKE_METADATA), size=(64, 96))
    tracked = next(iter(heaviest.track([frame])))
    for inst, right in ((whole.segment(frame), 80), (heaviest.segment(frame), 40), (tracked, 40)):
        assert len(inst) == 1
        assert (inst.boxes[0, 2] > 80) == (right == 80)


def test_color_order_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    frame = scene(red=(8, 8))
    for color, seen in (("rgb", frame), ("bgr", frame[..., ::-1])):
        tracker = Tracker()
        seg = Segmenter(Weights({}, FAKE_METADATA), size=(64, 96), color=color)
        assert ids(seg.track([seen], tracker=tracker)) == [[1]]
        assert np.argmax(tracker.kernels()[0]) == 0  # the query for red


def test_only_keyframes_run_the_instance_decoder(colors: Segmenter) -> None:
    frames = [scene(red=(8, column)) for column in range(0, 40, 4)]
    found = list(colors.track(frames))
    session = colors._model.session(64, 96)
    assert (session.features_run, session.instances_run) == (10, 4)
    left = [inst.boxes[0, 0] for inst in found]
    assert left == sorted(left)
    assert left[-1] - left[0] > 24
    list(colors.track(frames, keyframe_every=1))
    assert session.instances_run == 14


def test_masks_end_at_boxes_which_grow_between_keyframes(
    colors: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def boxes(self: ColorSession, kernels: np.ndarray, margin: float = 0.0) -> np.ndarray:
        asked.append(margin)
        room = np.float32(margin)
        return np.array([[0.25 - room, 0.25 - room, 0.5 + room, 0.5 + room]] * len(kernels), np.float32)

    monkeypatch.setattr(ColorSession, "boxes", boxes)
    frame = np.full((64, 96, 3), 255, np.uint8) * np.array([1, 0, 0], np.uint8)
    areas = [found.masks().sum((1, 2)).tolist() for found in colors.track([frame] * 5)]
    assert asked == pytest.approx([0.0, 0.05, 0.1, 0.0, 0.05])
    assert areas == [[16 * 24], [22 * 34], [28 * 44], [16 * 24], [22 * 34]]
    assert colors.segment(frame).masks().sum() == 16 * 24


def test_crossing_squares_keep_their_ids(colors: Segmenter) -> None:
    frames = [scene(red=(0, 4 * i), green=(36, 72 - 4 * i)) for i in range(19)]
    found = list(colors.track(frames))
    first = dict(zip(found[0].ids.tolist(), found[0].boxes[:, 0].tolist(), strict=True))
    last = dict(zip(found[-1].ids.tolist(), found[-1].boxes[:, 0].tolist(), strict=True))
    assert first.keys() == last.keys() == {1, 2}
    assert (first[1] < first[2]) != (last[1] < last[2])


def test_disappearance_and_return(colors: Segmenter) -> None:
    here, gone = scene(red=(8, 8), blue=(32, 56)), scene(blue=(32, 56))
    found = ids(colors.track([here] * 3 + [gone] * 9 + [here] * 3))
    assert found[2] == [1, 2]
    assert found[3:12] == [[2]] * 9
    assert found[12:] == [[1, 2]] * 3
    short = Tracker(forget_after=2)
    assert ids(colors.track([here] * 3 + [gone] * 9 + [here] * 3, tracker=short))[-1] == [2, 3]


def test_empty_masks_on_reuse_frames_give_no_instance(colors: Segmenter) -> None:
    found = list(colors.track([scene(red=(8, 8)), scene(), scene(red=(8, 8))]))
    assert [len(inst) for inst in found] == [1, 0, 1]
    assert found[1].boxes.shape == (0, 4)


def test_every_track_starts_fresh_unless_a_tracker_is_passed(colors: Segmenter) -> None:
    red, green = scene(red=(8, 8)), scene(green=(8, 8))
    assert ids(colors.track([red])) == [[1]]
    assert ids(colors.track([green])) == [[1]]
    tracker = Tracker()
    assert ids(colors.track([red], tracker=tracker)) == [[1]]
    assert ids(colors.track([green] * 3, tracker=tracker)) == [[], [], [2]]


def test_streams_interleave(colors: Segmenter) -> None:
    one = colors.track([scene(red=(8, 4 * i)) for i in range(9)])
    two = colors.track([scene(green=(8, 4 * i), red=(36, 60)) for i in range(9)])
    for first, second in zip(one, two, strict=True):
        assert first.ids.tolist() == [1]
        assert second.ids.tolist() == [1, 2]


def test_a_tracker_stays_with_its_model(monkeypatch: pytest.MonkeyPatch, colors: Segmenter) -> None:
    tracker = Tracker()
    list(colors.track([scene(red=(8, 8))], tracker=tracker))
    names = ["square", "other", "third"]
    metadata = make_metadata(classes=names, config={**CONFIG.to_dict(), "classes": 3}, score_threshold=0.5)
    monkeypatch.setattr("mobileinst.segmenter.NativeModel", ColorModel)
    with pytest.raises(ValueError, match=r"4 and 2 classes, got 4 and 3: .* different models"):
        Segmenter(Weights({}, metadata)).track([], tracker=tracker)


def test_frames_may_change_their_size(colors: Segmenter) -> None:
    frames = [scene(red=(8, 8))] * 2 + [scene((128, 96), red=(50, 8))] * 2
    found = list(colors.track(frames))
    assert ids(iter(found)) == [[1]] * 4
    assert [inst.size for inst in found] == [(64, 96)] * 2 + [(128, 96)] * 2


def test_tracking_is_lazy(colors: Segmenter) -> None:
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for i in range(100):
            taken.append(i)
            yield scene(red=(8, 8))

    stream = colors.track(frames())
    assert taken == []
    next(stream)
    assert taken == [0]


def test_track_checks_its_arguments_at_the_call(colors: Segmenter) -> None:
    with pytest.raises(TypeError, match="open_source"):
        colors.track("video.mp4")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="iterable of frames, got int"):
        colors.track(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"segment\(\)"):
        colors.track(scene())
    with pytest.raises(ValueError, match="keyframe_every must be a whole number of at least 1, got 0"):
        colors.track([], keyframe_every=0)
    with pytest.raises(ValueError, match=r"score_threshold must be in 0\.\.1"):
        colors.track([], score_threshold=1.5)
    with pytest.raises(ValueError, match="one number or 2, got shape"):
        colors.track([], score_threshold=[0.1, 0.2, 0.3])
    with pytest.raises(TypeError, match="must be a Tracker"):
        colors.track([], tracker="bytetrack")  # type: ignore[arg-type]
    stream = colors.track([scene(), scene()[..., 0]])
    next(stream)
    with pytest.raises(ValueError, match=r"frame 1: .*\(grey\)"):
        next(stream)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((3, 40, 50), np.uint8), ValueError, r"uint8 \(3, 40, 50\) \(channels first\).*transpose"),
        (np.zeros((40, 50), np.uint8), ValueError, r"\(grey\).*np.stack"),
        (np.zeros((40, 50, 1), np.uint8), ValueError, r"\(grey\).*np.repeat"),
        (np.zeros((40, 50, 4), np.uint8), ValueError, r"alpha.*image\[\.\.\., :3\]"),
        (np.zeros((40, 50, 3), np.float32), ValueError, r"float32.*image \* 255"),
        (np.full((40, 50, 3), 200.0), ValueError, r"float64.*by \(image\)"),
        (np.full((40, 50, 3), np.nan), ValueError, "float64"),
        (np.zeros((40, 50, 3), np.uint16), ValueError, "image >> 8"),
        (np.zeros((40, 50, 3), np.int64), ValueError, "astype"),
        (np.zeros((2, 40, 50, 3), np.uint8), ValueError, r"track\(\)"),
        (np.zeros((1, 40, 50, 3), np.uint8), ValueError, r"image\[0\]"),
        (np.zeros((0, 50, 3), np.uint8), ValueError, r"an empty array of shape \(0, 50, 3\)"),
        (np.zeros((40, 50, 5), np.uint8), ValueError, r"\(40, 50, 5\)$"),
        (None, TypeError, "got NoneType"),
        ("image.png", TypeError, "open_source"),
        (memoryview(np.zeros((40, 50, 3), np.uint8)), TypeError, r"memoryview; convert it by np\.asarray"),
        (memoryview(bytes(60)), TypeError, r"memoryview; convert it by np\.asarray"),
        ([[[0, 0, 0]]], TypeError, "got list"),
        (((0, 0, 0),), TypeError, r"got tuple; convert it by np\.asarray"),
    ],
)
def test_wrong_images(colors: Segmenter, image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        colors.segment(image)


def test_a_memoryview_of_frames_is_tracked(colors: Segmenter) -> None:
    frames = np.zeros((2, 40, 50, 3), np.uint8)
    assert [found.size for found in colors.track(memoryview(frames))] == [(40, 50)] * 2
    with pytest.raises(ValueError, match=r"got shape \(40, 50, 3\)"):
        colors.track(memoryview(frames[0]))


def test_what_the_hints_say_works(colors: Segmenter) -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    expected = colors.segment(image).size
    assert colors.segment(np.asarray(memoryview(image))).size == expected
    with pytest.raises(ValueError, match=r"got uint8 \(60,\)$"):
        colors.segment(np.asarray(memoryview(bytes(60))))
    pillow = pytest.importorskip("PIL.Image").new("L", (50, 40))
    with pytest.raises(TypeError, match=r'convert it by np\.asarray\(image\.convert\("RGB"\)\)'):
        colors.segment(pillow)
    assert colors.segment(np.asarray(pillow.convert("RGB"))).size == expected
    tensor = pytest.importorskip("torch").zeros((40, 50, 3), dtype=pytest.importorskip("torch").uint8)
    with pytest.raises(TypeError, match=r"convert it by tensor\.cpu\(\)\.numpy\(\)"):
        colors.segment(tensor)
    assert colors.segment(tensor.cpu().numpy()).size == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"color": "RGB"}, "color must be"),
        ({"threads": 0}, "threads must be"),
        ({"threads": True}, "threads must be"),
        ({"threads": 2**64}, "threads must be at most 1024"),
        ({"size": 8}, r"size must be in 32\.\.4096"),
        ({"size": "640"}, "size must be an int"),
        ({"size": (640,)}, "size must be an int"),
        ({"duplicate_iou": 0}, "duplicate_iou"),
        ({"duplicate_iou": "0.5"}, "duplicate_iou must be above 0 and at most 1, got '0.5'"),
        ({"components": "some"}, "components must be"),
    ],
)
def test_wrong_options(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segmenter(Weights({}, FAKE_METADATA), **arguments)


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        ((720, 1280), 640, (480, 864)),
        ((480, 640), 640, (640, 864)),
        ((640, 640), 640, (640, 640)),
        ((1280, 720), 320, (416, 256)),
        ((1, 1), 320, (320, 320)),
        ((1, 5000), 320, (32, 416)),
        ((480, 640), (200, 333), (200, 333)),
    ],
)
def test_network_size(frame: tuple[int, int], size: Any, expected: tuple[int, int]) -> None:
    assert network_size(frame, size) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (37, 53), (480, 640)])
def test_frames_of_any_size(tiny: Segmenter, size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    inst = tiny.segment(frame, score_threshold=0)
    assert inst.masks().shape == (len(inst), *size)
    if len(inst):
        np.testing.assert_array_equal(inst.areas, inst.masks().sum((1, 2)))
    assert (np.diff(inst.scores) <= 0).all()


def test_views_and_strides_do_not_matter(tiny: Segmenter) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    view = np.ascontiguousarray(frame[::-1, :, ::-1])[::-1, :, ::-1]
    frame.setflags(write=False)
    assert tiny.segment(frame, 0).rle() == tiny.segment(view, 0).rle()


def test_forward_gives_the_documented_arrays(tiny: Segmenter) -> None:
    x = np.random.default_rng(0).normal(size=(3, 70, 101)).astype(np.float32)
    out = tiny.forward(x)
    assert {name: array.shape for name, array in out.items()} == {
        "class_logits": (CONFIG.queries, CONFIG.classes),
        "objectness_logits": (CONFIG.queries,),
        "kernels": (CONFIG.queries, CONFIG.kernel_dim),
        "mask_features": (CONFIG.kernel_dim, 9, 13),
        "mask_logits": (CONFIG.queries, 9, 13),
    }
    assert all(array.dtype == np.float32 for array in out.values())
    product = np.einsum("nd,dhw->nhw", out["kernels"], out["mask_features"])
    np.testing.assert_allclose(out["mask_logits"], product, atol=1e-3)
    first = {name: array.copy() for name, array in out.items()}
    tiny.forward(x + 1)
    for name, array in out.items():
        np.testing.assert_array_equal(array, first[name])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((70, 101, 3), np.float32), r"transpose\(2, 0, 1\)"),
        (np.zeros((1, 3, 8, 8), np.float32), r"x\[0\]"),
        (np.zeros((3, 8, 8)), "got float64"),
        (np.zeros((3, 0, 8), np.float32), "empty"),
        (np.full((3, 8, 8), np.nan, np.float32), "input: expected finite values, got nan"),
    ],
)
def test_wrong_network_input(tiny: Segmenter, x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny.forward(x)


@pytest.mark.parametrize("value", [1e38, -3e38])
def test_overflow_is_an_error(tiny: Segmenter, value: float) -> None:
    x = np.random.default_rng(0).choice([value, 0.0], (3, 64, 96)).astype(np.float32)
    with pytest.raises(ValueError, match="are not finite: the input's values are too large"):
        tiny.forward(x)


@pytest.mark.parametrize("components", ["heaviest", "all"])
def test_weights_that_overflow_are_an_error(components: str) -> None:
    tensors = {name: tensor * np.float32(1e20) for name, tensor in make_tensors().items()}
    segmenter = Segmenter(Weights(tensors, make_metadata()), threads=1, components=components)
    with pytest.raises(ValueError, match="are not finite: these weights exceed single precision"):
        segmenter.segment(scene(), score_threshold=0)


def test_weights_made_in_memory_are_checked_at_once() -> None:
    tensors = make_tensors()
    names = list(tensors)
    whole = len(tensors)
    for name in names[5:8]:
        del tensors[name]
    with pytest.raises(WeightsError, match=f"3 of {whole} tensors are missing, first '{names[5]}'"):
        Segmenter(Weights(tensors, make_metadata()))
    tensors = make_tensors()
    tensors[names[2]] = tensors[names[2]][:1]
    with pytest.raises(WeightsError, match=f"tensor '{names[2]}' has shape .*, expected"):
        Segmenter(Weights(tensors, make_metadata()))
    with pytest.raises(WeightsError, match="expected a whole model, got the backbone"):
        Segmenter(Weights(make_tensors(), make_metadata(kind="backbone", classes=[])))
    with pytest.raises(WeightsError, match="tensors are missing, first 'backbone"):
        Backbone(Weights({}, make_metadata()))


def test_results_do_not_depend_on_threads(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_weights(path, tame_tensors(), make_metadata())
    x = np.random.default_rng(0).normal(size=(3, 64, 96)).astype(np.float32)
    one, three = (Segmenter(path, threads=threads).forward(x) for threads in (1, 3))
    for name in one:
        np.testing.assert_array_equal(one[name], three[name])


def test_a_pickled_segmenter_gives_the_same(tiny: Segmenter) -> None:
    copy = pickle.loads(pickle.dumps(tiny))
    x = np.random.default_rng(0).normal(size=(3, 64, 96)).astype(np.float32)
    for name, array in copy.forward(x).items():
        np.testing.assert_array_equal(array, tiny.forward(x)[name])
    options = ("size", "color", "duplicate_iou", "components")
    assert [getattr(copy, name) for name in options] == [getattr(tiny, name) for name in options]


@pytest.mark.skipif(not available_weights(), reason="no weights ship with this build")
def test_default_weights_find_a_person_and_a_cat() -> None:
    data = pytest.importorskip("skimage.data")
    seg = Segmenter()
    assert json.dumps(seg.weights.metadata)
    person, cat = seg.segment(data.astronaut()), seg.segment(data.chelsea())
    assert "person" in person.names[:1]
    assert "animal" in cat.names[:1]
    for inst in (person, cat):
        assert inst.areas[0] > 0.1 * inst.height * inst.width
