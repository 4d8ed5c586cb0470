"""What one frame gives: instances as arrays of length n >= 0, masks kept as run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _native
from .inputs import check_frame, check_number
from .io.extras import import_extra

NO_ID = -1

#: Run lengths are uint32.
_MOST_PIXELS = 2**32 - 1


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
        self.run_lengths = tuple(_whole_runs(runs) for runs in run_lengths)
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

    def __getitem__(self, index: int | slice | str | ArrayLike) -> Instances:
        """Some of the instances: by int (one), slice, boolean array of length n, array of indices, or by
        class name (or several), which gives none where no instance has that name."""
        wanted = [index] if isinstance(index, str) else index
        if isinstance(wanted, (list, tuple)) and wanted and all(isinstance(name, str) for name in wanted):
            index = np.array([name in wanted for name in self.names], np.bool_)
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

    def caption(self, i: int) -> str:
        """Track, class and score of instance `i` as overlays say them: "#3 person 0.87"."""
        track = f"#{self.ids[i]} " if self.ids[i] != NO_ID else ""
        return f"{track}{self.names[i]} {self.scores[i]:.2f}"

    def __repr__(self) -> str:
        shown = ", ".join(self.caption(i) for i in range(min(len(self), 8)))
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

    def polygons(self, tolerance: float = 1.0) -> list[list[NDArray[np.float32]]]:
        """Outlines: for each instance one polygon for each connected component of its mask, largest first.

        Args:
            tolerance: how far a polygon may run beside the mask's edge, in pixels; 0: exact. Components that
                vanish within it are left out, so that tiny masks may have no polygon.

        Returns:
            lists of float32 (k, 2), x and y in pixels from the frame's upper left corner. Holes are cut in,
            see `mobileinst.masks.polygons.mask_polygons`.
        """
        from .masks.polygons import mask_polygons

        outlines = []
        for i, (x0, y0, x1, y1) in enumerate(self.boxes.astype(int)):
            polygons = mask_polygons(self.mask(i)[y0:y1, x0:x1], tolerance)
            outlines.append([polygon + np.array([x0, y0], np.float32) for polygon in polygons])
        return outlines

    def crop(
        self,
        image: NDArray[np.uint8],
        *,
        margin: float = 0.0,
        background: tuple[int, int, int] | None = None,
    ) -> list[NDArray[np.uint8]]:
        """The part of the image at each instance's box, uint8 (h, w, 3), copied.

        Args:
            image: uint8 (H, W, 3), the frame that the instances were found in.
            margin: added on each side, as a share of the box's longer side, as far as the frame reaches.
            background: color for pixels outside of the mask; None keeps them.

        Raises:
            TypeError, ValueError: for something that is no such image, one of another size than the frame,
                or a negative margin.
        """
        self.check_image(image)
        check_number("margin", margin, 0, 10, "in 0..10")
        crops = []
        for i, (x0, y0, x1, y1) in enumerate(self.boxes.astype(int)):
            wide = round(margin * max(x1 - x0, y1 - y0))
            part = np.s_[max(y0 - wide, 0) : y1 + wide, max(x0 - wide, 0) : x1 + wide]
            crop = image[part].copy()
            if background is not None:
                crop[~self.mask(i)[part]] = background
            crops.append(crop)
        return crops

    def draw(self, image: NDArray[np.uint8], **style: Any) -> NDArray[np.uint8]:
        """A copy of the image with the instances drawn on it; options as of `mobileinst.drawing.draw`."""
        from .drawing.overlay import draw

        return draw(image, self, **style)

    def to_dict(self) -> dict[str, Any]:
        """The instances as a JSON-ready object.

        ``{"width", "height", "instances": [{"id", "label" (class name), "score", "box" [x0, y0, x1, y1],
        "rle"}]}``; `id` is null where there is no track.
        """
        instances = [
            {
                "id": int(self.ids[i]) if self.ids[i] != NO_ID else None,
                "label": self.names[i],
                "score": round(float(self.scores[i]), 4),
                "box": self.boxes[i].tolist(),
                "rle": rle,
            }
            for i, rle in enumerate(self.rle())
        ]
        return {"width": self.width, "height": self.height, "instances": instances}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], classes: Sequence[str] | None = None) -> Instances:
        """The instances of an object made by `to_dict`, or of a line that `mobileinst track --json` wrote.

        Args:
            record: the object. Keys that it has besides are not looked at.
            classes: names that labels are indices into; None means the names in it, sorted.

        Raises:
            ValueError: for an object of another form; the message says which instance.
        """
        try:
            size = int(record["height"]), int(record["width"])
            entries: list[Mapping[str, Any]] = list(record["instances"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"expected an object with width, height and instances, got {error!r}") from None
        if min(size) < 1 or size[0] * size[1] > _MOST_PIXELS:
            raise ValueError(f"expected a width and height of at least 1 pixel, got {size[1]} and {size[0]}")
        for number, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise ValueError(f"instance {number}: expected an object, got {type(entry).__name__}")
        known = sorted({str(entry.get("label")) for entry in entries}) if classes is None else list(classes)
        parsed = []
        for number, entry in enumerate(entries):
            try:
                parsed.append(_parsed(entry, size, known))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                what = f"it has no {error}" if isinstance(error, KeyError) else error
                raise ValueError(f"instance {number}: {what}") from None
        runs, scores, names, ids = zip(*parsed, strict=True) if parsed else ((), (), (), ())
        return cls(size, runs, scores, [known.index(name) for name in names], names, ids)

    def to_json(self) -> str:
        """The instances as JSON text, see `to_dict`."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, classes: Sequence[str] | None = None) -> Instances:
        """The instances of a text made by `to_json`; arguments and errors as of `from_dict`."""
        return cls.from_dict(json.loads(text), classes)

    def to_supervision(self) -> Any:
        """The instances as `supervision.Detections`, masks included; needs the package supervision.

        Raises:
            ImportError: if it is missing; the message names the extra.
        """
        supervision = import_extra("supervision", "to_supervision() needs supervision", "supervision")
        tracked = len(self) > 0 and bool((self.ids != NO_ID).all())
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            mask=self.masks(),
            confidence=self.scores.copy(),
            class_id=self.labels.copy(),
            tracker_id=self.ids.copy() if tracked else None,
            data={"class_name": np.array(self.names, dtype=np.str_)},
        )

    def check_image(self, image: NDArray[np.uint8]) -> None:
        """Raise TypeError or ValueError unless it is an image uint8 (H, W, 3) of the frame's size."""
        if check_frame(image).shape[:2] != self.size:
            raise ValueError(
                f"the instances belong to a frame of {self.size}, got an image {image.shape[:2]}"
            )


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


def _whole_runs(runs: ArrayLike) -> NDArray[np.uint32]:
    """Run lengths as uint32, checked, since arrays (and before NumPy 2 integers, too) would wrap around."""
    found = np.asarray(runs)
    if found.dtype != np.uint32 and found.size:
        most = np.iinfo(np.uint32).max
        if found.dtype.kind not in "iu" or found.min() < 0 or found.max() > most:
            raise ValueError(f"expected run lengths as integers of 0 to {most}")
    return np.ascontiguousarray(found, np.uint32)


def _parsed(
    entry: Mapping[str, Any], size: tuple[int, int], classes: Sequence[str]
) -> tuple[NDArray[np.uint32], float, str, int]:
    """Run lengths, score, class name and id of an entry of `Instances.to_dict`."""
    rle, name = entry["rle"], str(entry["label"])
    if tuple(rle["size"]) != size:
        raise ValueError(f"its mask is of size {rle['size']}, its frame of {list(size)}")
    counts = rle["counts"]
    if isinstance(counts, str):
        runs = _native.rle_decompress(counts.encode("ascii"))
    else:
        runs = _whole_runs(counts).reshape(len(counts))
    if name not in classes:
        raise ValueError(f"its label {name!r} is none of {', '.join(classes)}")
    number = NO_ID if entry.get("id") is None else int(np.int64(entry["id"]))
    score = float(entry["score"])
    if not 0 <= score <= 1:
        raise ValueError(f"its score must be in 0..1, got {score}")
    return runs, score, name, number
