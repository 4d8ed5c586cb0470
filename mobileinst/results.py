"""What one frame gives: instances as arrays of length n >= 0, masks kept as run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _native

NO_ID = -1


class Instances:
    """Instances of one frame, best first in a single image, in order of their track in a video.

    Masks are held as COCO run lengths (column-major, first run is background) and decoded on demand.
    Boxes come from the masks, so an instance always has at least one pixel.

    Args:
        size: (height, width) of the frame in pixels.
        run_lengths: n arrays of uint32 that each sum to height * width.
        scores: n scores in 0..1, float32.
        labels: n class indices, int64.
        names: n class names.
        ids: n track ids, int64, -1 where an instance belongs to no track; None means -1 for all.

    Attributes:
        ids, scores, labels, names: as above; `names` is a list.
        boxes: float32 (n, 4), x0, y0, x1, y1 in pixels; x1 and y1 are exclusive.
        areas: int64 (n,), pixels of each mask.

    Raises:
        ValueError: if lengths or run lengths don't fit together.

    Example:
        >>> inst = Instances((2, 3), [np.array([2, 2, 2])], [0.5], [0], ["cat"])
        >>> len(inst), inst.boxes.tolist()
        (1, [[1.0, 0.0, 2.0, 2.0]])
        >>> inst[inst.scores > 0.6].masks().shape
        (0, 2, 3)
    """

    __slots__ = ("areas", "boxes", "height", "ids", "labels", "names", "run_lengths", "scores", "width")

    def __init__(
        self,
        size: tuple[int, int],
        run_lengths: Sequence[ArrayLike],
        scores: ArrayLike,
        labels: ArrayLike,
        names: Sequence[str],
        ids: ArrayLike | None = None,
    ) -> None:
        self.height, self.width = int(size[0]), int(size[1])
        self.run_lengths = tuple(np.ascontiguousarray(runs, np.uint32) for runs in run_lengths)
        count = len(self.run_lengths)
        self.scores = _column("scores", scores, np.float32, count)
        self.labels = _column("labels", labels, np.int64, count)
        self.ids = _column("ids", np.full(count, NO_ID) if ids is None else ids, np.int64, count)
        self.names = list(names)
        if len(self.names) != count:
            raise ValueError(f"expected {count} names, one for each mask, got {len(self.names)}")
        boxes, areas = _native.rle_boxes_areas(list(self.run_lengths), self.height, self.width)
        self.boxes: NDArray[np.float32] = np.asarray(boxes, np.float32).reshape(count, 4)
        self.areas: NDArray[np.int64] = np.asarray(areas, np.int64).reshape(count)

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Instances:
        """No instance, in a frame of (height, width) pixels."""
        return cls(size, [], [], [], [])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frame in pixels."""
        return self.height, self.width

    def __len__(self) -> int:
        return len(self.run_lengths)

    def __getitem__(self, index: int | slice | ArrayLike) -> Instances:
        """Some of the instances: by int (one), slice, boolean array of length n, or array of indices."""
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.size == 0 and index.dtype != bool:
                index = index.astype(np.int64)
            if index.dtype.kind not in "iub" or index.ndim > 1:
                raise IndexError(
                    f"expected an int, a slice, a boolean array or an array of indices, got {index.dtype} "
                    f"of shape {index.shape}"
                )
        chosen = np.atleast_1d(np.arange(len(self))[index])
        picked: Instances = object.__new__(type(self))
        picked.height, picked.width = self.height, self.width
        picked.run_lengths = tuple(self.run_lengths[i] for i in chosen)
        picked.names = [self.names[i] for i in chosen]
        for column in ("scores", "labels", "ids", "boxes", "areas"):
            setattr(picked, column, getattr(self, column)[chosen])
        return picked

    def __iter__(self) -> Iterator[Instances]:
        """Each instance as an Instances of length 1."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        def one(i: int) -> str:
            track = f"#{self.ids[i]} " if self.ids[i] != NO_ID else ""
            return f"{track}{self.names[i]} {self.scores[i]:.2f}"

        shown = ", ".join(one(i) for i in range(min(len(self), 8)))
        more = f", and {len(self) - 8} more" if len(self) > 8 else ""
        return f"Instances({len(self)} in {self.height}x{self.width}: [{shown}{more}])"

    def mask(self, i: int) -> NDArray[np.bool_]:
        """The mask of instance `i`, bool (height, width)."""
        return np.asarray(_native.rle_decode(self.run_lengths[i], self.height, self.width), np.bool_)

    def masks(self) -> NDArray[np.bool_]:
        """All masks, bool (n, height, width); large for many instances of a large frame."""
        masks = np.zeros((len(self), self.height, self.width), np.bool_)
        for i in range(len(self)):
            masks[i] = self.mask(i)
        return masks

    def rle(self) -> list[dict[str, Any]]:
        """COCO run-length encoding of each mask: ``{"size": [height, width], "counts": str}``."""
        size = [self.height, self.width]
        return [{"size": list(size), "counts": compress(runs)} for runs in self.run_lengths]


def compress(run_lengths: NDArray[np.uint32]) -> str:
    """Run lengths as COCO's compressed string."""
    return bytes(_native.rle_compress(run_lengths)).decode("ascii")


def encode(masks: NDArray[np.bool_]) -> list[NDArray[np.uint32]]:
    """Run lengths of dense masks, bool (n, height, width)."""
    if masks.ndim != 3:
        raise ValueError(f"expected masks (n, height, width), got shape {masks.shape}")
    # At equal sizes the bilinear map is the identity, so this encodes the mask itself.
    logits = np.where(masks, np.float32(1), np.float32(-1))
    return list(_native.rle_from_logits(logits, masks.shape[1], masks.shape[2], 0.0)) if len(masks) else []


def _column(name: str, values: ArrayLike, dtype: type[np.generic], count: int) -> NDArray[Any]:
    column = np.array(values, dtype)
    if column.shape != (count,):
        raise ValueError(f"expected {count} {name}, one for each mask, got shape {column.shape}")
    return column
