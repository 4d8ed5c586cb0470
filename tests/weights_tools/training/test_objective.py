"""What learns in a batch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from mobileinst.network import ModelConfig  # noqa: E402
from weights_tools.torch_ops import MobileInst  # noqa: E402
from weights_tools.training.losses import Assignment  # noqa: E402
from weights_tools.training.objective import query_masks  # noqa: E402

SMALL = {"width": 16, "classes": 2, "queries": 8, "hidden": 32, "heads": 2, "ffn": 32, "kernel_dim": 16}
MODELS = [
    ModelConfig("topformer_t", **SMALL),
    ModelConfig("topformer_t", **SMALL, mask_stride=4),
    ModelConfig("yolox_nano", **SMALL, query_source="places", mask_stride=4),
]


@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.backbone}-{c.mask_stride}")
def test_masks_that_learn_are_those_of_the_model(config: ModelConfig) -> None:
    torch.manual_seed(3)
    model = MobileInst(config).eval()
    out = model(torch.rand(2, 3, 96, 64))
    assert tuple(out["mask_logits"].shape[2:]) == (96 // config.mask_stride, 64 // config.mask_stride)
    found = query_masks(model, out["kernels"], out["mask_map"])
    pairs = Assignment(torch.tensor([0, 0, 1]), torch.tensor([1, 5, 0]), torch.tensor([0, 1, 0]))
    learned = found.of(pairs)
    torch.testing.assert_close(learned, out["mask_logits"][pairs.image, pairs.query], atol=1e-4, rtol=1e-4)
    learned.sum().backward()
    for name in ("mask_decoder.projection.weight", "instance_decoder.kernel.weight"):
        assert bool(model.get_parameter(name).grad.any()), name
    assert tuple(found.all.shape) == (2, 8, 12, 8)
    assert not found.all.requires_grad
    if config.mask_stride == 8:
        torch.testing.assert_close(found.all, out["mask_logits"], atol=1e-4, rtol=1e-4)


def test_no_pairs_learn_nothing() -> None:
    model = MobileInst(MODELS[1]).eval()
    out = model(torch.rand(1, 3, 64, 64))
    none = Assignment(*[torch.zeros(0, dtype=torch.int64)] * 3)
    assert tuple(query_masks(model, out["kernels"], out["mask_map"]).of(none).shape) == (0, 16, 16)
