"""From weights of some classes to a model of others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from mobileinst.network import ModelConfig  # noqa: E402
from mobileinst.network.selection import BOX_CHANNELS, WINDOW_CHANNELS  # noqa: E402
from mobileinst.weights import save_weights  # noqa: E402
from weights_tools.create import metadata_of  # noqa: E402
from weights_tools.torch_ops import MobileInst  # noqa: E402
from weights_tools.training.initial import TrainedModel, load_initial  # noqa: E402
from weights_tools.training.transfer import load_start  # noqa: E402

OLD = ModelConfig(
    backbone="yolox_nano", width=16, classes=2, queries=8, hidden=32, heads=2, ffn=32, kernel_dim=16,
    query_source="places", kinds=(1, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    torch.manual_seed(1)
    model = MobileInst(OLD)
    arrays = {k: v.numpy() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_weights(path, arrays, {**metadata_of(OLD), "classes": ["person", "vehicle"]})
    return path, model.state_dict()


def test_all_but_the_classes_is_kept(start):
    path, old = start
    model = TrainedModel(dataclasses.replace(OLD, classes=5, kinds=()))
    load_start(model, path, tuple("abcde"))
    state = model.state_dict()
    for name, tensor in state.items():
        if name.startswith(("instance_decoder.class.", "backbone.head.cls_preds.")):
            assert not bool(tensor.any()), name
        elif name in old and tensor.shape == old[name].shape:
            torch.testing.assert_close(tensor, old[name], msg=name)
    tail = BOX_CHANNELS + WINDOW_CHANNELS
    for name in ("instance_decoder.query.linear1.weight", "instance_decoder.query_position.weight"):
        ours, theirs = state[name], old[name]
        split, end = theirs.shape[1] - tail - 2, ours.shape[1] - tail
        torch.testing.assert_close(ours[:, :split], theirs[:, :split])
        torch.testing.assert_close(ours[:, end:], theirs[:, -tail:])
        torch.testing.assert_close(ours[:, split:end].sum(1), theirs[:, split : split + 2].sum(1))


def test_finer_masks_begin_as_the_coarser_ones(start):
    """Of 16 channels 4 are kept; here kernels ask no more of the map, so nothing is lost."""
    _, state = start
    old = TrainedModel(OLD).eval()
    old.load_state_dict(state)
    with torch.no_grad():
        kernel = old.get_parameter("instance_decoder.kernel.weight")
        kernel.copy_(kernel @ kernel[:3].T @ kernel[:3])
        old.get_parameter("instance_decoder.kernel.bias").copy_(kernel @ torch.ones(32))
    fine = TrainedModel(dataclasses.replace(OLD, mask_stride=4)).eval()
    new = load_initial(fine, old.state_dict())
    assert new
    assert all(name.startswith("mask_decoder.detail.") for name in new)
    image = torch.rand(1, 3, 128, 96)
    with torch.no_grad():
        coarse, found = old(image), fine(image)
    torch.testing.assert_close(found["kernels"], coarse["kernels"])
    size = tuple(found["mask_features"].shape[2:])
    assert size == (32, 24)
    wanted = torch.nn.functional.interpolate(coarse["mask_map"][:, :-4], size, mode="bilinear")
    products = []
    for out, mask_map in ((coarse, wanted), (found, found["mask_map"][:, :-4])):
        owner = old if out is coarse else fine
        weight = owner.get_parameter("mask_decoder.projection.weight")[WINDOW_CHANNELS:, :-4, 0, 0]
        rows = out["kernels"][..., WINDOW_CHANNELS:] @ weight
        products.append(torch.einsum("bnc,bchw->bnhw", rows, mask_map))
    torch.testing.assert_close(products[1], products[0], atol=1e-4, rtol=1e-4)


def test_the_new_classes_begin_as_the_places_say(start):
    model = TrainedModel(dataclasses.replace(OLD, classes=3, kinds=())).eval()
    load_start(model, start[0], ("a", "b", "c"))
    out = model(torch.rand(1, 3, 64, 64))
    priors = out["queries_global"].places[..., -(3 + BOX_CHANNELS + WINDOW_CHANNELS) :][..., :3]
    torch.testing.assert_close(out["class_logits"], priors)


def test_the_same_classes_are_kept(start):
    path, old = start
    model = TrainedModel(OLD)
    load_start(model, path, ("person", "vehicle"))
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, old[name], msg=name)


def test_other_classes_in_the_same_number_start_new(start):
    model = TrainedModel(OLD)
    load_start(model, start[0], ("cup", "spoon"))
    assert not np.any(model.state_dict()["instance_decoder.class.weight"].numpy())
