"""A weights file as the PyTorch network."""

from __future__ import annotations

import os

import torch

from mobileinst.weights import Weights, load_weights
from weights_tools.torch_ops import MobileInst, load_state


def torch_model(weights: Weights | str | os.PathLike[str]) -> MobileInst:
    """The PyTorch network of a weights file, in evaluation mode.

    Raises:
        WeightsError: if the file is not a whole model of this project.
    """
    if not isinstance(weights, Weights):
        weights = load_weights(weights)
    model = MobileInst(weights.config)
    # tensors beyond the network's (auxiliary heads of training) stay behind
    known = model.state_dict().keys()
    load_state(model, {name: torch.tensor(v) for name, v in weights.tensors.items() if name in known})
    return model.eval()
