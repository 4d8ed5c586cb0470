"""Which type each node computes in, and what the network then gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import Backbone, Segmenter, _native
from mobileinst.engine import (
    Graph,
    NativeModel,
    NativeOps,
    Parameters,
    Precision,
    Program,
    choose_precision,
    compile_program,
    offered_precisions,
    thread_pool,
)
from mobileinst.engine.calibration import Observer
from mobileinst.engine.precision import divided_by_half, quantisation_of
from mobileinst.network import ModelConfig
from mobileinst.network.ops import ConvSpec
from mobileinst.weights import Range, Weights, WeightsError
from tests.support.networks import OUTPUTS, random_model

CONFIGS = {
    name: ModelConfig(name, width=64, queries=10, classes=3) for name in ("topformer_t", "mobilenetv2")
}
SIZE = (96, 128)
needs_int8 = pytest.mark.skipif(
    "int8" not in offered_precisions(_native.tier()), reason="this instruction set has no int8"
)


def ranges_of(weights: Weights, size: tuple[int, int] = SIZE) -> dict[str, Range]:
    """The extremes of every node on one random frame."""
    observer = Observer(weights, Parameters(weights.tensors, _native.tier()), size, thread_pool(1))
    frame = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    observer.run(frame)
    found: dict[str, Range] = {}
    for name in observer.names():
        values = observer.read(name)
        assert np.isfinite(values).all(), name
        found[name] = (float(values.min()), float(values.max()))
    return found


def frame_outputs(weights: Weights, precision: Precision, threads: int = 1) -> dict[str, NDArray[np.float32]]:
    model = NativeModel(weights, threads=threads, precision=precision)
    session = model.session(*SIZE)
    session.load_frame(np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    session.run_features()
    class_logits, objectness_logits, kernels = session.run_instances()
    masks = session.mask_features(), session.mask_logits(kernels)
    return dict(zip(OUTPUTS, (class_logits, objectness_logits, kernels, *masks), strict=True))


@needs_int8
@pytest.mark.parametrize("name", ["topformer_t", "mobilenetv2"])
def test_int8_is_near_fp32_and_the_same_for_any_number_of_threads(name: str) -> None:
    weights = random_model(CONFIGS[name])
    precision = Precision("int8", ranges_of(weights))
    plain, whole = frame_outputs(weights, Precision()), frame_outputs(weights, precision)
    error = np.sqrt(np.mean((whole["mask_features"] - plain["mask_features"]) ** 2))
    assert 0 < error < 0.15 * np.sqrt(np.mean(plain["mask_features"] ** 2))
    again = frame_outputs(weights, precision, threads=3)
    for output in OUTPUTS:
        np.testing.assert_array_equal(whole[output], again[output], err_msg=output)


@needs_int8
@pytest.mark.skipif(
    not _native.has_kernels("conv3x3", "int8"), reason="3x3 convolutions of this instruction set are floats"
)
def test_int8_holds_no_filters_of_floats() -> None:
    weights = random_model(ModelConfig("topformer_b", width=256))
    ranges = ranges_of(weights)
    sizes = {}
    for precision in (Precision(), Precision("int8", ranges)):
        model = NativeModel(weights, threads=1, precision=precision)
        session = model.session(640, 640)
        sizes[precision.name] = model.packed_bytes + session.arena_bytes
    of_file = sum(tensor.nbytes for tensor in weights.tensors.values())
    assert of_file + sizes["int8"] <= 90 * 2**20
    assert sizes["int8"] < sizes["fp32"] / 2


@needs_int8
def test_the_profile_says_what_each_node_computes_in() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    session = NativeModel(weights, threads=1, precision=Precision("int8", ranges_of(weights))).session(*SIZE)
    types = {node["name"]: node["dtype"] for node in session.profile(runs=1)}
    assert types["backbone.tpm.stem.0.c"] == types["mask_decoder.lateral.3.conv"] == "int8"
    has_3x3 = _native.has_kernels("conv3x3", "int8")
    assert types["mask_decoder.before.3.conv"] == ("int8" if has_3x3 else "float32")
    assert types["instance_decoder.norm"] == "float32"


@needs_int8
@pytest.mark.parametrize("name", ["topformer_t", "mobilenetv2"])
def test_halves_beside_integers(name: str) -> None:
    weights = random_model(CONFIGS[name])
    precision = Precision("int8", ranges_of(weights), floats="float16")
    session = NativeModel(weights, threads=1, precision=precision).session(*SIZE)
    types = {(node["op"], node["dtype"]) for node in session.profile(runs=1)}
    assert {("gemm", "int8"), ("gemm", "float16"), ("conv3x3", "float16")} <= types
    assert not {("depthwise", "int8"), ("conv3x3", "int8")} & types
    plain, mixed = frame_outputs(weights, Precision()), frame_outputs(weights, precision)
    error = np.sqrt(np.mean((mixed["mask_features"] - plain["mask_features"]) ** 2))
    assert 0 < error < 0.15 * np.sqrt(np.mean(plain["mask_features"] ** 2))
    again = frame_outputs(weights, precision, threads=3)
    for output in OUTPUTS:
        np.testing.assert_array_equal(mixed[output], again[output], err_msg=output)


def test_int8_leaves_the_rest_to_halves_where_the_processor_computes_in_them() -> None:
    ranges = {"image": (-1.0, 1.0)}
    for tier in _native.supported_tiers():
        if "int8" in offered_precisions(tier):
            halves = "asimdhp" in _native.tier_features(tier)
            assert choose_precision("int8", tier, ranges).floats == ("float16" if halves else "float32")


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1e-9, 1e-9), (-1e9, 1e9), (-3.0, 0.1)])
def test_a_scale_by_which_halves_are_divided_is_the_inverse_of_one(limits: Range) -> None:
    scale, zero = divided_by_half(quantisation_of(limits))
    assert zero == quantisation_of(limits)[1]
    assert np.float16(1 / np.float32(scale)) == np.float64(1) / scale
    if 1e-3 < limits[1] < 1e3:
        assert abs(scale / quantisation_of(limits)[0] - 1) < 2**-11


@needs_int8
@pytest.mark.parametrize("name", ["topformer_t", "mobilenetv2"])
def test_the_image_is_bytes_whatever_has_a_range(name: str) -> None:
    weights = random_model(CONFIGS[name])
    ranges = {key: limits for key, limits in ranges_of(weights).items() if key.startswith("mask_decoder")}
    precision = Precision("int8", ranges)
    session = NativeModel(weights, threads=1, precision=precision).session(*SIZE)
    first = session.profile(runs=1)[0]
    assert first["op"] in ("conv_direct", "row_chain")
    plain, whole = frame_outputs(weights, Precision()), frame_outputs(weights, precision)
    error = np.sqrt(np.mean((whole["mask_features"] - plain["mask_features"]) ** 2))
    assert 0 < error < 0.05 * np.sqrt(np.mean(plain["mask_features"] ** 2))


@needs_int8
def test_a_normalised_image_gives_what_its_bytes_give() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    session = NativeModel(weights, threads=1, precision=Precision("int8", ranges_of(weights))).session(*SIZE)
    frame = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    image = (frame.astype(np.float32) - np.float32(weights.mean)) / np.float32(weights.std)
    found = []
    for load in (lambda: session.load_frame(frame), lambda: session.load_input(image.transpose(2, 0, 1))):
        load()
        session.run_features()
        found.append(session.run_instances()[2])
    np.testing.assert_array_equal(*found)
    with pytest.raises(ValueError, match=r"input: expected a float32 array of shape"):
        session.load_input(np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ValueError, match="input"):
        session.load_input(np.full((3, *SIZE), np.nan, np.float32))


@needs_int8
def test_a_backbone_alone_takes_a_precision() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    ranges = {name: list(limits) for name, limits in ranges_of(weights).items()}
    weights = Weights(weights.tensors, {**weights.metadata, "ranges": ranges})
    x = np.random.default_rng(0).uniform(-1, 1, (3, *SIZE)).astype(np.float32)
    plain, whole = Backbone(weights, precision="fp32"), Backbone(weights, precision="int8", threads=1)
    assert (plain.precision, whole.precision) == ("fp32", "int8")
    expected, found = plain.features(x), whole.features(x)
    for name in ("x3", "x4", "x5"):
        error = np.sqrt(np.mean((found[name] - expected[name]) ** 2) / np.mean(expected[name] ** 2))
        assert 0 < error < 0.3, name
    with pytest.raises(ValueError, match="precision: expected fp32"):
        Backbone(weights, precision="int4")


@needs_int8
def test_a_node_without_range_or_that_is_kept_stays_in_float32() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    ranges = ranges_of(weights)
    lateral = "mask_decoder.lateral.3.conv"
    for precision in (
        Precision("int8", {name: limits for name, limits in ranges.items() if name != lateral}),
        Precision("int8", ranges, keep=(lateral,)),
    ):
        session = NativeModel(weights, threads=1, precision=precision).session(*SIZE)
        types = {node["name"]: node["dtype"] for node in session.profile(runs=1)}
        assert types[lateral] == "float32"
        assert "int8" in types.values()


@needs_int8
def test_resizes_are_of_integers_where_these_are_read_and_no_halves_beside_them() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    ranges = ranges_of(weights)
    inner, last = (f"mask_decoder.top_down{i}.add3" for i in (1, 2))
    for precision, expected in (
        (Precision("int8", ranges), "int8"),
        (Precision("int8", ranges, keep=(inner,)), "float32"),
        (Precision("int8", ranges, floats="float16"), "float16"),
    ):
        if not _native.has_kernels("resize", expected):
            continue
        session = NativeModel(weights, threads=1, precision=precision).session(*SIZE)
        types = {node["name"]: node["dtype"] for node in session.profile(runs=1)}
        assert types[inner] == expected
        assert types[last] != "int8"  # the mask map, which users read


def parts_program(tier: str) -> Program:
    """A 1x1 convolution that sees nothing but the second, thousand times smaller part of a concatenation."""
    random = np.random.default_rng(0)
    tensors = {
        f"{name}.weight": random.standard_normal((8, 3, 1, 1), np.float32) for name in ("large", "small")
    }
    tensors["large.weight"] *= 100
    tensors["small.weight"] *= 0.1
    mixed = random.standard_normal((5, 20, 1, 1), np.float32)
    mixed[:, :8] = 0
    graph = Graph()
    ops = NativeOps(graph, Parameters(tensors | {"mixed.weight": mixed}, tier))
    x = ops.input("x", 6, 7, 3)
    spec = ConvSpec(8, bias=False)
    small = ops.conv(x, "small", spec)
    fixed = ops.constant_map(random.uniform(-0.9, 0.9, (6, 7, 4)).astype(np.float32), "fixed")
    joined = ops.concat([ops.conv(x, "large", spec), small, fixed], "joined")
    outputs = {
        "mixed": ops.conv(joined, "mixed", ConvSpec(5, bias=False)),
        "pooled": ops.average_pool(joined, (2, 2), "pooled"),
        "small": small,
    }
    ranges = {"x": (-1.0, 1.0), "large": (-400.0, 400.0), "small": (-0.4, 0.3), "joined": (-400.0, 400.0)}
    precision = Precision("int8", {**ranges, "mixed": (-2.0, 2.0)})
    return compile_program(graph, ops.parameters, outputs, _native.ThreadPool(1), precision)


def test_the_parts_of_a_concatenation_keep_their_ranges() -> None:
    results = []
    for tier in (tier for tier in _native.supported_tiers() if "int8" in offered_precisions(tier)):
        program = parts_program(tier)
        x = np.random.default_rng(1).uniform(-1, 1, (3, 6, 7)).astype(np.float32)
        program.plan.load_planes(program.tensors["x"], x, [0.0] * 3, [1.0] * 3, "x")
        program.plan.run(0)
        results.append({name: program.read(name) for name in ("mixed", "pooled", "small")})
        fixed = np.random.default_rng(0)
        weights = [fixed.standard_normal((8, 3), np.float32) for _ in range(2)]
        mixed = fixed.standard_normal((5, 20), np.float32)
        constant = fixed.uniform(-0.9, 0.9, (6, 7, 4)).astype(np.float32).transpose(2, 0, 1)
        small = np.einsum("oi,ihw->ohw", 0.1 * weights[1], x)
        exact = np.einsum("oi,ihw->ohw", mixed[:, 8:], np.concatenate([small, constant]))
        assert np.abs(results[-1]["mixed"] - exact).max() < 0.05
        assert np.abs(results[-1]["small"] - small).max() < 0.005
        pooled = np.concatenate([small, constant]).reshape(12, 2, 3, 7)[..., :4].mean((2, 3))
        np.testing.assert_allclose(results[-1]["pooled"][8:, :, 0], pooled, atol=0.01)
        np.testing.assert_array_equal(results[-1]["mixed"], results[0]["mixed"])


def test_fp32_has_no_conversion() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    session = NativeModel(weights, threads=1, precision="fp32").session(*SIZE)
    profile = session.profile(runs=1)
    assert {node["dtype"] for node in profile} == {"float32"}
    assert all(node["op"] != "convert" for node in profile)


def test_a_precision_that_can_not_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOBILEINST_PRECISION", raising=False)
    ranges = {"image": (-1.0, 1.0)}
    assert choose_precision(None, "ref", {}).name == "fp32"
    assert choose_precision("auto", "ref", {}).dtype != "int8"
    assert choose_precision("auto", "ref", ranges).name == "int8"
    with pytest.raises(ValueError, match=r"precision: expected fp32, .* or auto, got 'int4'"):
        choose_precision("int4", "ref", {})
    with pytest.raises(ValueError, match="these weights hold no ranges for int8"):
        choose_precision("int8", "ref", {})
    monkeypatch.setenv("MOBILEINST_PRECISION", "nosuch")
    with pytest.raises(ValueError, match="environment variable MOBILEINST_PRECISION: expected fp32"):
        choose_precision(None, "ref", {})
    monkeypatch.setenv("MOBILEINST_PRECISION", "auto")
    assert choose_precision(None, "ref", ranges).name == "int8"


def test_the_tiers_that_have_int8() -> None:
    tiers = _native.supported_tiers()
    arithmetic = {"asimd", "asimdhp", "asimddp"}
    assert ("neon_dot" in tiers) == (arithmetic <= set(_native.cpu_features()))
    assert ("neon_i8mm" in tiers) == (arithmetic | {"i8mm"} <= set(_native.cpu_features()))
    for tier in tiers:
        has = tier in ("ref", "neon_dot", "neon_i8mm") or tier.startswith("avx")
        assert ("int8" in offered_precisions(tier)) == has
        # avx512 has the integers of avx2, whose vectors are half as wide
        fastest = "fp16" if tier.startswith("neon_") else "int8" if has and tier != "avx512" else "fp32"
        assert choose_precision("auto", tier, {"image": (-1.0, 1.0)}).name == fastest


def test_a_tier_without_the_kernels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "has_kernels", lambda operation, dtype, tier=None: dtype == "float32")
    with pytest.raises(ValueError, match="the instruction set 'ref' has no kernels for int8"):
        choose_precision("int8", "ref", {"image": (-1.0, 1.0)})
    assert choose_precision("auto", "ref", {"image": (-1.0, 1.0)}).name == "fp32"


def test_the_segmenter_says_its_precision(tmp_path: Path) -> None:
    weights = random_model(CONFIGS["topformer_t"])
    assert Segmenter(weights, threads=1).precision == "fp32"
    lacking = "no ranges" if "int8" in offered_precisions(_native.tier()) else "no kernels for int8"
    with pytest.raises(ValueError, match=lacking):
        Segmenter(weights, threads=1, precision="int8")


def test_ranges_of_weights_are_checked() -> None:
    weights = random_model(CONFIGS["topformer_t"])
    again = Weights(weights.tensors, {**weights.metadata, "ranges": {"image": [-2, 2.5]}})
    assert again.ranges == {"image": (-2.0, 2.5)}
    for names in ("image", [1]):
        with pytest.raises(WeightsError, match="float_nodes"):
            Weights(weights.tensors, {**weights.metadata, "float_nodes": names})
    for wrong in ([], {"image": [1.0]}, {"image": [2.0, 1.0]}, {"image": ["a", 1.0]}, {"image": [0, 1e300]}):
        with pytest.raises(WeightsError, match="ranges"):
            Weights(weights.tensors, {**weights.metadata, "ranges": wrong})


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0), (0.0, 0.0)])
def test_quantisations_hold_zero_exactly_and_reach_the_range(limits: Range) -> None:
    scale, zero = quantisation_of(limits)
    assert -128 <= zero <= 127
    low, high = (-128 - zero) * scale, (127 - zero) * scale
    assert low <= min(limits[0], 0) + scale / 2
    assert high >= max(limits[1], 0) - scale / 2
