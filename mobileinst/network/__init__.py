"""The network, written once as plain functions over an :class:`~mobileinst.network.ops.Ops` object.

PyTorch (``weights_tools.torch_ops``), the native engine (``mobileinst.engine``) and the layer counter
(``mobileinst.network.counter``) run the same functions, so they cannot drift apart.
"""

from mobileinst.network.config import BACKBONES, ModelConfig
from mobileinst.network.model import Features, Predictions, features, instances

__all__ = ["BACKBONES", "Features", "ModelConfig", "Predictions", "features", "instances"]
