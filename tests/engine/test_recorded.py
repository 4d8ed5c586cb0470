"""The native engine against recorded outputs of the PyTorch interpreter and, to the bit, against its own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine import NativeModel, active_backend
from tests.support.bits import BIT_CASES, SAME, output_bits, recorded_bits
from tests.support.networks import OUTPUTS, random_model, run_model
from tests.support.random_weights import random_input
from tests.support.recorded_models import CASES, PATH

LIMIT = 1e-3


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recorded(name: str) -> dict[str, NDArray[np.float32]]:
    with np.load(PATH) as file:
        return {output: file[f"{name}/{output}"] for output in OUTPUTS}


def _assert_close(outputs: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]) -> None:
    for output in OUTPUTS:
        np.testing.assert_allclose(
            outputs[output],
            expected[output].reshape(outputs[output].shape),
            rtol=LIMIT,
            atol=LIMIT,
            err_msg=output,
        )


def test_native_engine(name: str, recorded: dict[str, NDArray[np.float32]]) -> None:
    config, height, width = CASES[name]
    model = NativeModel(random_model(config))
    _assert_close(run_model(model, random_input(height, width)), recorded)


def test_recording_is_current(name: str, recorded: dict[str, NDArray[np.float32]]) -> None:
    pytest.importorskip("torch")
    from tests.golden.make_recorded import torch_outputs

    _assert_close(torch_outputs(CASES[name]), recorded)


@pytest.mark.parametrize("name", BIT_CASES)
def test_bits(name: str) -> None:
    """What may change results writes new ones: `python -m tests.golden.make_bits`."""
    tier = _native.tier()
    recorded = recorded_bits().get(SAME.get(tier, tier))
    if recorded is None:
        pytest.skip(f"no bits of the tier {tier} are recorded")
    if active_backend(tier).name != "native":
        pytest.skip("other convolutions than ours")
    assert output_bits(BIT_CASES[name]) == recorded[name]
