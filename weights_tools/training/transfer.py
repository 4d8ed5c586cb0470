"""From weights of some classes to a model of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mobileinst.network.selection import BOX_CHANNELS, WINDOW_CHANNELS
from mobileinst.weights import Weights, load_weights
from weights_tools.torch_ops import MobileInst
from weights_tools.training.initial import load_initial, read_tensors

_CLASS_HEAD = "instance_decoder.class."
_KIND_HEADS = "backbone.head.cls_preds."
#: Layers that read tokens of places (:mod:`mobileinst.network.selection`).
_TOKEN_LAYERS = ("instance_decoder.query.linear1.weight", "instance_decoder.query_position.weight")


@torch.no_grad()
def load_start(model: MobileInst, path: Path, classes: Sequence[str]) -> None:
    """Start from a weights file; what belongs to its classes is kept only if they are the model's.

    A new class head of a model whose queries begin as places says nothing at first, so that the classes of
    the places decide; all classes of the places are alike at first.

    Raises:
        ValueError: if nothing of the file fits. WeightsError: if it is no weights file.
    """
    tensors = read_tensors(path)
    weights = load_weights(path)
    alike = weights.config.kinds == model.config.kinds and tuple(weights.classes) == tuple(classes)
    if not alike:
        tensors = {k: v for k, v in tensors.items() if not k.startswith((_CLASS_HEAD, _KIND_HEADS))}
        for name in _TOKEN_LAYERS:
            if name in tensors and model.config.query_source == "places":
                tensors[name] = _for_classes(tensors[name], weights, model.config.classes)
    load_initial(model, tensors)
    if not alike and model.config.query_source == "places":
        for name, parameter in model.named_parameters():
            if name.startswith((_CLASS_HEAD, _KIND_HEADS)):
                parameter.zero_()


def _for_classes(weight: Tensor, weights: Weights, classes: int) -> Tensor:
    """A layer (n, C) that reads tokens, for tokens with another number of classes.

    All classes get the mean of the old columns, in sum as large as before.
    """
    old = weights.config.classes
    end = weight.shape[1] - BOX_CHANNELS - WINDOW_CHANNELS
    columns = weight[:, end - old : end].sum(1, keepdim=True) / classes
    return torch.cat([weight[:, : end - old], columns.expand(-1, classes), weight[:, end:]], 1)
