"""Write recorded.npz with the PyTorch interpreter: python -m tests.golden.make_recorded"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tests.support.networks import OUTPUTS
from tests.support.random_weights import random_input, random_tensors
from tests.support.recorded_models import CASES, PATH, Case
from weights_tools.torch_ops import MobileInst, load_state


def torch_outputs(case: Case) -> dict[str, NDArray[np.float32]]:
    """The PyTorch interpreter's outputs of a case, without the batch dimension."""
    model = MobileInst(case.config).eval()
    load_state(model, random_tensors(case.config))
    with torch.no_grad():
        outputs = model(torch.from_numpy(random_input(case.height, case.width))[None])
    return {name: outputs[name][0].numpy() for name in OUTPUTS}


if __name__ == "__main__":
    recorded = {
        f"{name}/{output}": value
        for name, case in CASES.items()
        for output, value in torch_outputs(case).items()
    }
    np.savez_compressed(PATH, **recorded)
    for name, value in recorded.items():
        print(f"{name:50} {value.shape!s:18} {np.abs(value).mean():.3f}")
