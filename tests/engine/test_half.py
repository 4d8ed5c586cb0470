"""The whole network in half precision, wherever the instruction set computes halves."""

from __future__ import annotations

import numpy as np
import pytest

from mobileinst import _native
from mobileinst.engine import NativeModel, choose_precision, offered_precisions
from tests.support.networks import OUTPUTS, random_model, run_model
from tests.support.random_weights import random_input
from tests.support.recorded_models import CASES

#: Of the difference's rms to that of the outputs.
LIMIT = 0.02
needs_half = pytest.mark.skipif(
    "fp16" not in offered_precisions(_native.tier()), reason="this instruction set has no halves"
)


@needs_half
@pytest.mark.parametrize("name", CASES)
def test_it_is_near_fp32_and_the_same_for_any_number_of_threads(name: str) -> None:
    config, height, width = CASES[name]
    weights, x = random_model(config), random_input(height, width)
    floats = run_model(NativeModel(weights, threads=1, precision="fp32"), x)
    halves = run_model(NativeModel(weights, threads=1, precision="fp16"), x)
    again = run_model(NativeModel(weights, threads=3, precision="fp16"), x)
    for output in OUTPUTS:
        np.testing.assert_array_equal(halves[output], again[output], err_msg=output)
        difference = np.sqrt(np.mean((halves[output] - floats[output]) ** 2))
        assert 0 < difference < LIMIT * np.sqrt(np.mean(floats[output] ** 2)), output


@needs_half
def test_all_layers_compute_in_it() -> None:
    config, height, width = CASES["topformer_t_96x160"]
    session = NativeModel(random_model(config), threads=1, precision="fp16").session(height, width)
    session.load_input(random_input(height, width))
    profile = session.profile(runs=1)
    layers = {"gemm", "conv3x3", "depthwise", "conv_direct", "inverted_residual", "row_chain"}
    assert {node["dtype"] for node in profile if node["op"] in layers} == {"float16"}
    assert {node["dtype"] for node in profile if node["op"] == "attention"} == {"float32"}


def test_the_tiers_that_have_it() -> None:
    tiers = _native.supported_tiers()
    assert ("neon_fp16" in tiers) == ("asimdhp" in _native.cpu_features())
    for tier in tiers:
        assert ("fp16" in offered_precisions(tier)) == (tier not in ("neon", "sse"))
        fast = "fp16" if tier.startswith("neon_") else "fp32"
        assert choose_precision("auto", tier, {}).name == fast
    if "neon" in tiers:
        with pytest.raises(ValueError, match="the instruction set 'neon' has no kernels for fp16"):
            choose_precision("fp16", "neon", {})
