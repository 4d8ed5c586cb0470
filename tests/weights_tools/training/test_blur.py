"""Motion blur moves no light and leaves what stands still; the detector of before sees the sharp image."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("PIL")
pytest.importorskip("scipy")

from mobileinst.network import ModelConfig  # noqa: E402
from tests.support.training_sets import CLASSES, write_set  # noqa: E402
from weights_tools.torch_ops import MobileInst  # noqa: E402
from weights_tools.training.augment import AugmentConfig  # noqa: E402
from weights_tools.training.auxiliary import AuxiliaryWeights  # noqa: E402
from weights_tools.training.blur import motion_blur, smear  # noqa: E402
from weights_tools.training.data import DataConfig, TrainingSet  # noqa: E402
from weights_tools.training.losses import LossWeights  # noqa: E402
from weights_tools.training.objective import Objective  # noqa: E402
from weights_tools.training.source import CocoSource  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize(
    ("angle", "touched"),
    [(0.0, [(7, x) for x in range(5, 10)]), (np.pi / 2, [(y, 7) for y in range(5, 10)])],
)
def test_a_point_becomes_a_line_of_the_same_light(angle, touched):
    point = np.zeros((15, 15, 1), np.float32)
    point[7, 7] = 50.0
    out = smear(point, 4.0, angle)[..., 0]
    assert sorted(zip(*np.nonzero(out), strict=True)) == sorted(touched)
    np.testing.assert_allclose(out[out > 0], 10.0, rtol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.8])
def test_an_even_area_stays_even(angle):
    even = np.full((9, 21, 3), 77.0, np.float32)
    np.testing.assert_allclose(smear(even, 12.3, angle), even, rtol=1e-6)


def test_all_the_objects_or_all_but_these_are_blurred():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), np.uint8)
    objects = np.zeros((16, 16), np.float32)
    objects[6:10, 6:10] = 1.0  # pixels 24 to 40
    inside, far = np.s_[26:38, 26:38], np.s_[:16]
    seen = set()
    for seed in range(40):
        out = motion_blur(image, objects, 0.1, np.random.default_rng(seed))
        assert out.dtype == np.uint8
        assert out.shape == image.shape
        seen.add((bool((out[inside] != image[inside]).any()), bool((out[far] != image[far]).any())))
    assert seen == {(True, True), (True, False), (False, True)}


def test_samples_keep_the_sharp_image_and_repeat(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    plain = TrainingSet(source, DataConfig(augment=AugmentConfig()), seed=3)
    blurred = TrainingSet(source, DataConfig(augment=AugmentConfig(blur=0.5, blur_most=0.2)), seed=3)
    changed = 0
    for number in range(12):
        expected, sample, again = (x.sample(number, 64) for x in (plain, blurred, blurred))
        np.testing.assert_array_equal(sample.sharp, expected.image)
        np.testing.assert_array_equal(sample.image, again.image)
        np.testing.assert_array_equal(sample.masks, expected.masks)
        changed += bool((sample.image != sample.sharp).any())
    assert 2 <= changed <= 10
    assert plain.batch(range(4), 64).sharp is None
    batch = blurred.batch(range(12), 64)
    assert batch.sharp is not None
    torch.testing.assert_close(batch.sharp, plain.batch(range(12), 64).images)
    moved = batch.to(torch.device("cpu"))
    assert moved.sharp is not None
    assert moved.clips == 0


def test_places_of_a_blurred_image_are_held_to_those_of_the_sharp_one(tmp_path):
    small = {"width": 16, "classes": 3, "queries": 8, "hidden": 32, "heads": 2, "ffn": 32, "kernel_dim": 16}
    config = ModelConfig("yolox_nano", **small, query_source="places", kinds=(1, 8, 10))
    torch.manual_seed(0)
    model = MobileInst(config).eval()
    objective = Objective(model, LossWeights(kept=1.0), AuxiliaryWeights())
    source = CocoSource(*write_set(tmp_path), CLASSES)
    kept = []
    for blur in (0.0, 1.0):
        strength = AugmentConfig(blur=blur, blur_most=0.3)
        batch = TrainingSet(source, DataConfig(augment=strength), seed=3).batch(range(2), 64)
        losses, _ = objective(model, batch, 1.0)
        kept.append(sum(losses[name].item() for name in ("kept", "kept_kind", "kept_box")))
    assert kept[0] == pytest.approx(0.0, abs=1e-4)  # nothing was learned yet
    assert kept[1] > 10 * max(kept[0], 1e-6)
