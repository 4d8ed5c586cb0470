"""Model configurations: which backbone, how wide, how many queries and classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mobileinst.network.backbones import ARCHITECTURES

#: The backbones of the paper's Table 1 in all their official sizes, and MobileNetV2 1.0.
BACKBONES = tuple(name for name, one in ARCHITECTURES.items() if not one.detects)

#: Detectors that serve as backbones, and whose best places may be the first queries (ours).
DETECTORS = tuple(name for name, one in ARCHITECTURES.items() if one.detects)

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
        backbone: One of :data:`BACKBONES` or :data:`DETECTORS`.
        width: Channels of the mask decoder; 256 is our reading of the paper, 128 the fast variant.
        classes: Number of classes (80 for COCO, 40 for YouTube-VIS).
        queries: Number of instance queries (paper's sources: 100).
        hidden: Dimension of the queries; a multiple of 4 (sine embedding) and of heads.
        heads: Attention heads of the instance decoder.
        ffn: Hidden features of the feed-forward network before the heads.
        kernel_dim: Channels of mask features and kernels.
        mask_stride: Stride of the mask features; 8 as in the paper, or 4 for finer masks (ours).
        key_stride: Stride of the tokens that queries attend to; 64 as in the paper, or 32 for small inputs.
        query_source: ``"learned"`` as in the paper, or ``"places"``: queries begin as the best places of a
            detector's backbone (``yolox_nano``; ours).
        kinds: How many kinds of objects the detector tells apart for each class; one of each if empty.
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
    mask_stride: int = 8
    use_sim: bool = False
    query_source: str = "learned"
    kinds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.backbone not in ARCHITECTURES:
            raise ValueError(f"backbone must be one of {', '.join(ARCHITECTURES)}; got {self.backbone!r}")
        if not isinstance(self.kinds, (tuple, list)):
            raise ValueError(f"kinds must be a list of integers; got {self.kinds!r}")
        object.__setattr__(self, "kinds", tuple(self.kinds))
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
        if self.mask_stride not in (4, 8):
            raise ValueError(f"mask_stride must be 4 or 8; got {self.mask_stride!r}")
        if type(self.use_sim) is not bool:
            raise ValueError(f"use_sim must be true or false; got {self.use_sim!r}")
        if self.use_sim and not ARCHITECTURES[self.backbone].injects:
            raise ValueError(f"use_sim needs a TopFormer backbone; got {self.backbone!r}")
        self._check_places()

    def _check_places(self) -> None:
        """What concerns backbones that are detectors."""
        detector = self.backbone in DETECTORS
        if self.query_source not in ("learned", "places"):
            raise ValueError(f"query_source must be 'learned' or 'places'; got {self.query_source!r}")
        if self.query_source == "places" and not detector:
            raise ValueError(f"query_source 'places' needs the backbone yolox_nano; got {self.backbone!r}")
        if not detector:
            if self.kinds:
                raise ValueError(f"kinds needs the backbone yolox_nano; got {self.backbone!r}")
            return
        kinds = self.kinds or (1,) * self.classes
        if len(kinds) != self.classes or any(type(k) is not int or not 1 <= k <= 1000 for k in kinds):
            raise ValueError(f"kinds must be {self.classes} integers from 1 to 1000; got {self.kinds}")
        object.__setattr__(self, "kinds", kinds)

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
