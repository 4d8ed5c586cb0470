"""Batches made on the device: targets that fit their pixels, what is hidden or unknown, repeatability."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from tests.support.training_sets import BACKGROUND, CLASSES, COLORS, settings, write_set  # noqa: E402
from weights_tools.training.augment import AugmentConfig  # noqa: E402
from weights_tools.training.config import parse_config  # noqa: E402
from weights_tools.training.data import DataConfig, TrainingSet  # noqa: E402
from weights_tools.training.device_batches import DeviceBatches, DevicePhotos, _Layer, place  # noqa: E402
from weights_tools.training.loader import Batches  # noqa: E402
from weights_tools.training.loop import RunOptions, train  # noqa: E402
from weights_tools.training.processes import Group  # noqa: E402
from weights_tools.training.source import CocoSource, box_instance  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CPU = torch.device("cpu")
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def batches(source, **strength):
    return DeviceBatches(
        source, DataConfig(augment=AugmentConfig(color_jitter=0.0, **strength), **PLAIN), 0, CPU
    )


def test_masks_lie_on_pixels_of_their_class_with_and_without_pasted_objects(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    for paste in (0.0, 1.0):
        batch = batches(source, paste=paste).batch(range(12), 96)
        assert sum(len(labels) for labels in batch.labels) > 15
        pixels = torch.nn.functional.avg_pool2d(batch.images, 4).permute(0, 2, 3, 1)
        for image, masks, labels in zip(pixels, batch.masks, batch.labels, strict=True):
            for mask, label in zip(masks, labels.tolist(), strict=True):
                shown = image[mask > 0.999]
                if len(shown):
                    wrong = (shown - torch.tensor(COLORS[label], dtype=torch.float32)).abs().amax(
                        1
                    ) > 45  # not of edges
                    assert wrong.float().mean() < 0.02


def test_samples_without_pasting_equal_the_loaders(tmp_path):
    """The same images in the same places: where the loader does not antialias, to one grey level."""
    source = CocoSource(*write_set(tmp_path), CLASSES)
    strength = AugmentConfig(color_jitter=0.0, paste=0.0, flip=0.0)
    loader = TrainingSet(source, DataConfig(augment=strength, **PLAIN), 0)
    device = batches(source, paste=0.0, flip=0.0)
    alike = 0
    for number in range(10):
        ours, theirs = device.batch([number], 64), loader.batch([number], 64)
        assert ours.labels[0].tolist() == theirs.labels[0].tolist()
        assert torch.equal(ours.negative, theirs.negative)
        for a, b in zip(ours.masks[0], theirs.masks[0], strict=True):
            assert (a - b).abs().mean() < 0.02
        inside = (ours.images - theirs.images).abs().amax(1)[0]
        alike += bool((inside > 2).float().mean() < 0.04)
    assert alike >= 3


def test_batches_follow_from_seed_and_numbers(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    both = batches(source, paste=0.7).batch(range(4, 10), 64)
    parts = [batches(source, paste=0.7).batch(range(4 + 3 * k, 7 + 3 * k), 64) for k in range(2)]
    assert torch.equal(both.images, torch.cat([part.images for part in parts]))
    for ours, theirs in zip(both.masks, [m for part in parts for m in part.masks], strict=True):
        assert torch.equal(ours, theirs)


class Squares:
    """Two photographs: one with a known mask, a box and a crowd; one with an object to paste."""

    def __init__(self, source):
        self.classes, self.infos = CLASSES, source.infos[:2]

    def image(self, index):
        return np.full((64, 64, 3), BACKGROUND if index == 0 else COLORS[0], np.uint8)

    def instances(self, index):
        def known(box, label):
            found = box_instance(box, label)
            return type(found)(found.mask, found.x, found.y, label)

        if index == 1:
            return [known((8, 8, 48, 48), 0)]
        return [known((4, 4, 20, 20), 1), box_instance((32, 32, 16, 24), 2, 0.5), known((40, 2, 16, 16), -1)]

    def donors(self, index):
        return {1} if index == 0 else {0}


def test_boxes_crowds_and_hidden_objects(tmp_path):
    source = Squares(CocoSource(*write_set(tmp_path), CLASSES))
    strength = AugmentConfig(scale=(1.0, 1.0), color_jitter=0.0, paste=0.0, flip=0.0)
    made = DeviceBatches(source, DataConfig(augment=strength, **PLAIN), 0, CPU, repeat=[1.0, 0.0])
    batch = made.batch([0], 64)
    assert batch.labels[0].tolist() == [1, 2]
    assert batch.exact[0].tolist() == [True, False]
    assert batch.weights[0].tolist() == [1.0, 0.5]
    expected = torch.zeros(2, 16, 16)
    expected[0, 1:6, 1:6] = 1
    expected[1, 8:14, 8:12] = 1
    assert torch.equal(batch.masks[0], expected)
    crowd = torch.zeros(16, 16)
    crowd[1:4, 10:14] = 1
    crowd[0, 10:14] = crowd[4, 10:14] = 0.5
    assert torch.equal(batch.ignore[0], crowd)
    # an object pasted over the left half hides the first one wholly, and neither box nor crowd
    identity = place(64, 64, 64, np.random.default_rng(0), strength)
    layers = [_Layer(0, 0, identity), _Layer(0, 1, identity.moved(0, 0, 0.75, (-12.0, -6.0)), 1)]
    images, ids = made._compose(layers, 1, 64)
    assert set(ids.unique().tolist()) == {0, 3, 257}
    assert (images[0, :, 10, 10] == torch.tensor(COLORS[0], dtype=torch.float32)).all()


def test_photographs_are_sampled_where_they_lie():
    class One:
        classes, infos = CLASSES, [None]

        def image(self, index):
            out = np.zeros((20, 32, 3), np.uint8)
            out[..., 0] = np.arange(32) * 4
            return out

        def instances(self, index):
            return []

    photos = DevicePhotos(One(), CPU)
    layer = _Layer(0, 0, place(32, 20, 64, np.random.default_rng(0), AugmentConfig(scale=(1.0, 1.0))))
    colors, alpha, _ = photos.sample([layer], 64)
    top = round(layer.placement.shift_y)
    assert torch.equal(alpha[0].amax(1), ((torch.arange(64) >= top) & (torch.arange(64) < top + 40)).float())
    x = ((torch.arange(64) + 0.5) / 2 - 0.5).clamp(0, 31)
    torch.testing.assert_close(colors[0, 0, top + 20], 4 * x, rtol=0, atol=1e-3)


def test_a_run_on_the_device_learns(tmp_path):
    paths = write_set(tmp_path / "set")
    config = parse_config(settings(*paths, augment="device", images=8))
    assert train(config, RunOptions(tmp_path / "run"), Group())
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_annotations_without_images_are_refused(tmp_path):
    path, _ = write_set(tmp_path)
    values = settings(path, tmp_path)
    with pytest.raises(ValueError, match=r"instances\.json needs images"):
        Batches(parse_config({**values, "train": {"annotations": str(path)}}), CPU)


def test_clips_and_workers_are_refused(tmp_path):
    paths = write_set(tmp_path)
    for changes in ({"workers": 1}, {"temporal": {"share": 0.5}}):
        with pytest.raises(ValueError, match='augment = "device" takes no workers and no clips'):
            parse_config(settings(*paths, augment="device", **changes))
    with pytest.raises(ValueError, match="got 'gpu'"):
        parse_config(settings(*paths, augment="gpu"))
