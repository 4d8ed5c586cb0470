"""Model configurations: which backbone, how wide, how many queries and classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The backbones of the paper's Table 1 in all their official sizes, and MobileNetV2 1.0.
BACKBONES = (
    "mobilenetv2",
    "topformer_t",
    "topformer_s",
    "topformer_b",
    "seaformer_t",
    "seaformer_s",
    "seaformer_b",
    "seaformer_l",
)

_LIMITS = {
    "width": 4096,
    "classes": 100_000,
    "queries": 10_000,
    "hidden": 4096,
    "heads": 256,
    "ffn": 16_384,
    "kernel_dim": 4096,
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shape of a MobileInst network.

    Args:
        backbone: One of :data:`BACKBONES`.
        width: Channels of the mask decoder; 256 is our reading of the paper, 128 the fast variant.
        classes: Number of classes (80 for COCO, 40 for YouTube-VIS).
        queries: Number of instance queries (paper's sources: 100).
        hidden: Dimension of the queries; a multiple of 4 (sine embedding) and of heads.
        heads: Attention heads of the instance decoder.
        ffn: Hidden features of the feed-forward network before the heads.
        kernel_dim: Channels of mask features and kernels.
        key_stride: Stride of the tokens that queries attend to; 64 as in the paper, or 32 for small inputs.
        use_sim: Use TopFormer's semantic injection modules for X3..X5 (the paper's figure draws none).

    Raises:
        ValueError: for an unknown backbone or a value out of range.
    """

    backbone: str = "mobilenetv2"
    width: int = 256
    classes: int = 80
    queries: int = 100
    hidden: int = 256
    heads: int = 8
    ffn: int = 512
    kernel_dim: int = 128
    key_stride: int = 64
    use_sim: bool = False

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}; got {self.backbone!r}")
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} must be an integer from 1 to {limit}; got {value!r}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden must be a multiple of heads ({self.heads}); got {self.hidden}")
        if self.hidden % 4:
            raise ValueError(f"hidden must be a multiple of 4 (sine embedding); got {self.hidden}")
        if self.key_stride not in (32, 64):
            raise ValueError(f"key_stride must be 32 or 64; got {self.key_stride!r}")
        if type(self.use_sim) is not bool:
            raise ValueError(f"use_sim must be true or false; got {self.use_sim!r}")
        if self.use_sim and not self.backbone.startswith("topformer"):
            raise ValueError(f"use_sim needs a TopFormer backbone; got {self.backbone!r}")

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a JSON-ready dictionary; inverse of :meth:`from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Read a configuration; missing keys take their defaults.

        Raises:
            ValueError: for unknown keys or values out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown configuration keys {unknown}; known are {sorted(known)}")
        return cls(**values)
