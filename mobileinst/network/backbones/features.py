"""What every backbone gives to the decoders (docs/spec.md: Features)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from mobileinst.network.ops import T


@dataclass(frozen=True)
class Places(Generic[T]):
    """What a detector says of every place of a level (ours).

    Attributes:
        kinds: Logits of all kinds of all classes, (h, w, kinds).
        objectness: (h, w, 1), logit.
        boxes: (h, w, 4): centre x and y as shares of the image's sides, logarithms of such extents.
        features: (h, w, C), of the towers before them.
    """

    kinds: T
    objectness: T
    boxes: T
    features: T


@dataclass(frozen=True)
class BackboneFeatures(Generic[T]):
    """Local features X3, X4, X5 at strides 8, 16, 32 and global features X6 at stride 64.

    ``x2``: the map at stride 4, for masks as fine (ours). ``places``: what a detector's backbone says of each
    place of X3, X4, X5; empty for others.
    """

    x2: T
    x3: T
    x4: T
    x5: T
    x6: T
    places: tuple[Places[T], ...] = ()
