"""The native engine against the PyTorch interpreter and against outputs of official code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mobileinst import _native
from mobileinst.engine import Graph, NativeOps, Parameters, Program, compile_program
from mobileinst.network import features, instances
from mobileinst.network.backbones.blocks import half_size, pyramid_pool, transformer
from mobileinst.network.backbones.topformer import TOPFORMER, TransformerSpec, token_pyramid, topformer
from mobileinst.network.config import ModelConfig
from tests.support.random_weights import random_input, random_tensors

SIZES = [(256, 256), (320, 480), (200, 333)]
CONFIGS = {
    "mobilenetv2": ModelConfig("mobilenetv2", width=128),
    "topformer_t": ModelConfig("topformer_t", width=128, queries=50, classes=40),
    "topformer_s": ModelConfig("topformer_s", width=64, classes=3),
    "topformer_b": ModelConfig("topformer_b", width=128),
    "topformer_b_sim": ModelConfig("topformer_b", width=256, use_sim=True),
    "seaformer_t": ModelConfig("seaformer_t", width=64),
    "seaformer_s": ModelConfig("seaformer_s", width=64),
    "seaformer_b": ModelConfig("seaformer_b", width=64),
    "seaformer_l": ModelConfig("seaformer_l", width=64),
    "yolox_nano": ModelConfig("yolox_nano", width=64, classes=3),
    "stride_32_keys": ModelConfig("topformer_t", width=64, key_stride=32),
    "stride_4_masks": ModelConfig("topformer_t", width=64, mask_stride=4),
}


FEATURES = ("mask_features", "pooled", "x6")
PREDICTIONS = ("class_logits", "objectness_logits", "kernels")


def compile_stages(config: ModelConfig, height: int, width: int) -> Program:
    parameters = Parameters(random_tensors(config), _native.tier())
    graph = Graph()
    ops = NativeOps(graph, parameters)
    found = features(ops, ops.input("image", height, width, 3), config)
    predictions = instances(ops, found, config)
    outputs = {key: getattr(found, key) for key in FEATURES}
    outputs |= {key: getattr(predictions, key) for key in PREDICTIONS}
    outputs["queries_global"] = predictions.queries_global.content
    return compile_program(graph, parameters, outputs, _native.ThreadPool(1))


#: Every size for the backbones of the quick start; one awkward size for the rest.
CASES = [
    (name, size) for name in ("mobilenetv2", "topformer_t", "topformer_s", "topformer_b") for size in SIZES
]
CASES += [(name, SIZES[2]) for name in CONFIGS if (name, SIZES[2]) not in CASES]


@pytest.mark.parametrize(("name", "size"), CASES, ids=lambda value: value if isinstance(value, str) else None)
def test_stages_and_masks_equal_pytorch(name: str, size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    from weights_tools.torch_ops import MobileInst, load_state, mask_product

    torch.set_num_threads(1)
    config = CONFIGS[name]
    module = MobileInst(config)
    load_state(module, random_tensors(config))
    module.eval()
    x = random_input(*size)
    with torch.no_grad():
        found = module.features(torch.from_numpy(x)[None])
        predictions = module.instances(found)
        logits = mask_product(predictions.kernels, found.mask_features)[0]
        # Random kernels make lopsided masks: move each to its median, so that half of its pixels are set.
        middle = logits.flatten(1).median(1).values[:, None, None]
        upsampled = torch.nn.functional.interpolate((logits - middle)[None], size, mode="bilinear")[0]
    program = compile_stages(config, *size)
    program.plan.write(program.tensors["image"], x)
    program.plan.run()
    for key in FEATURES:
        np.testing.assert_allclose(program.read(key), getattr(found, key)[0].numpy(), atol=1e-3, err_msg=key)
    tokens = {key: getattr(predictions, key) for key in PREDICTIONS}
    tokens["queries_global"] = predictions.queries_global.content
    for key, value in tokens.items():
        expected = value[0].numpy()
        np.testing.assert_allclose(program.read_tokens(key), expected, atol=1e-3, err_msg=key)

    own = program.plan.mask_logits(program.tensors["mask_features"], program.read_tokens("kernels"))
    runs = _native.rle_from_logits(own - middle.numpy(), *size, 0.0)
    masks = np.stack([_native.rle_decode(r, *size) for r in runs])
    expected_masks = upsampled.numpy() > 0
    assert (masks != expected_masks).mean() < 1e-4
    assert 0.3 < expected_masks.mean() < 0.7


def test_queries_that_begin_as_places_equal_pytorch() -> None:
    """As many queries as places: their order, which near-equal scores decide, is then all that may differ."""
    torch = pytest.importorskip("torch")
    from weights_tools.torch_ops import MobileInst, load_state

    options = {"key_stride": 32, "query_source": "places", "kinds": (1, 8, 10)}
    config = ModelConfig("yolox_nano", width=64, classes=3, queries=126, **options)
    module = MobileInst(config).eval()
    load_state(module, random_tensors(config))
    x = random_input(64, 96)
    with torch.no_grad():
        found = module.instances(module.features(torch.from_numpy(x)[None]))
    program = compile_stages(config, 64, 96)
    program.plan.write(program.tensors["image"], x)
    program.plan.run()
    expected = np.concatenate([getattr(found, key)[0].numpy() for key in PREDICTIONS], 1)
    rows = np.concatenate([program.read_tokens(key) for key in PREDICTIONS], 1)
    nearest = np.abs(rows[:, None] - expected[None]).max(2)
    assert nearest.min(1).max() < 1e-3
    assert len(set(nearest.argmin(1).tolist())) == 126


GOLDEN = {
    "tpm0_stride4": "p0",
    "tpm1_stride8": "p1",
    "tpm2_stride16": "p2",
    "tpm3_stride32": "p3",
    "ppa": "ppa",
    "trans_block0": "block0",
    "trans": "x6",
    "sim1_stride8": "x3",
    "sim2_stride16": "x4",
    "sim3_stride32": "x5",
}


@pytest.mark.parametrize("size", [(256, 256), (200, 333)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_topformer_equals_official_outputs(shared: Path, size: tuple[int, int]) -> None:
    folder = shared / "golden" / "topformer_t"
    parameters = Parameters(read_safetensors(folder / "weights.safetensors"), _native.tier())
    spec = TOPFORMER["topformer_t"]
    graph = Graph()
    ops = NativeOps(graph, parameters)
    image = ops.input("image", *size, 3)
    levels = topformer(ops, image, ModelConfig("topformer_t", use_sim=True))
    pyramid = token_pyramid(ops, image, "tpm", spec)
    ppa = pyramid_pool(ops, pyramid, "ppa")
    assert ops.size(ppa) == half_size(ops.size(pyramid[-1]))
    first = transformer(ops, ppa, "trans", TransformerSpec(1, spec.heads, 16, 2))
    outputs = {f"p{i}": x for i, x in enumerate(pyramid)}
    outputs |= {
        "ppa": ppa,
        "block0": first,
        "x3": levels.x3,
        "x4": levels.x4,
        "x5": levels.x5,
        "x6": levels.x6,
    }
    program = compile_program(graph, parameters, outputs, _native.ThreadPool(2))
    with np.load(folder / "io.npz") as golden:
        prefix = f"{size[0]}x{size[1]}"
        program.plan.write(program.tensors["image"], golden[f"{prefix}/input"][0])
        program.plan.run()
        for key, name in GOLDEN.items():
            np.testing.assert_allclose(
                program.read(name), golden[f"{prefix}/{key}"][0], atol=1e-3, err_msg=key
            )


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a file that has no model card."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    dtypes = {"F32": np.float32, "I64": np.int64}
    body = memoryview(data)[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }
