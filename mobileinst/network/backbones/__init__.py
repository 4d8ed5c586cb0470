"""The backbones, each giving features at strides 8, 16, 32 and 64, and the blocks that they share.

A backbone is a module here that calls `register`, and its name in the import below.
"""

from mobileinst.network.backbones import mobilenetv2, seaformer, topformer, yolox
from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.backbones.registry import ARCHITECTURES, Architecture, register

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "BackboneFeatures",
    "mobilenetv2",
    "register",
    "seaformer",
    "topformer",
    "yolox",
]
