"""What every backbone gives to the decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from mobileinst.network.ops import T


@dataclass(frozen=True)
class BackboneFeatures(Generic[T]):
    """Local features X3, X4, X5 at strides 8, 16, 32 and global features X6 at stride 64 (spec c.1)."""

    x3: T
    x4: T
    x5: T
    x6: T
