"""The native engine against recorded outputs of the PyTorch interpreter, and the recording against itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst.engine import NativeModel
from mobileinst.weights import Weights
from tests.support.random_weights import random_input, random_tensors
from tests.support.recorded_models import CASES, OUTPUTS, PATH

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
    metadata = {
        "format": 1,
        "config": config.to_dict(),
        "classes": [f"class {i}" for i in range(config.classes)],
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "color": "rgb",
        "size": 320,
        "score_threshold": 0.5,
        "version": "test",
        "card": {},
    }
    session = NativeModel(Weights(random_tensors(config), metadata)).session(height, width)
    session.load_input(random_input(height, width))
    session.run_features()
    class_logits, objectness_logits, kernels = session.run_instances()
    outputs = {
        "class_logits": class_logits,
        "objectness_logits": objectness_logits,
        "kernels": kernels,
        "mask_features": session.mask_features(),
        "mask_logits": session.mask_logits(kernels),
    }
    _assert_close(outputs, recorded)


def test_recording_is_current(name: str, recorded: dict[str, NDArray[np.float32]]) -> None:
    pytest.importorskip("torch")
    from tests.golden.make_recorded import torch_outputs

    _assert_close(torch_outputs(CASES[name]), recorded)
