"""Augmentation of images with instance masks: scale, crop, flip, color jitter, copy-paste, motion blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weights_tools.training.blur import motion_blur
from weights_tools.training.source import Instance

#: Targets are kept at the resolution at which the mask losses are taken.
TARGET_STRIDE = 4

#: Value of padded pixels; about zero after normalisation.
PADDING = 127

#: Objects of fewer visible pixels are ignored instead of learned.
MIN_VISIBLE = 16.0

#: Likewise those of which a smaller share is visible.
MIN_SHARE = 0.05

#: Identities of pasted objects start here.
_PASTED_IDS = 1_000_000


@dataclass(frozen=True)
class AugmentConfig:
    """Strength of the augmentation.

    Attributes:
        scale: Range of the jitter of the longer side relative to the crop, log-uniform.
        flip: Probability of a horizontal flip.
        color_jitter: Strength of brightness, contrast and saturation jitter.
        paste: Probability that objects are pasted into an image.
        paste_most: Most objects pasted at once.
        neighbour: Share of pasted objects placed so that they touch one of the same class.
        motion: How far, as a share of the crop, a still image's scene and pasted objects move within a clip.
        blur: Probability of motion blur.
        blur_most: The longest motion blur, as a share of the crop.
    """

    scale: tuple[float, float] = (0.65, 1.8)
    flip: float = 0.5
    color_jitter: float = 0.3
    paste: float = 0.35
    paste_most: int = 3
    neighbour: float = 0.5
    motion: float = 0.1
    blur: float = 0.0
    blur_most: float = 0.03


@dataclass
class Sample:
    """A square training image with its targets.

    Attributes:
        image: uint8 (S, S, 3).
        masks: float32 (n, S/4, S/4), visible share of each cell.
        labels: int64 (n,).
        ids: int64 (n,), the same for the same object in both frames of a clip.
        ignore: float32 (S/4, S/4), 1 where nothing is known (crowds, too small objects).
        negative: float32 (classes,), weight of the absence of each class.
        exact: bool (n,), whether the mask is known; if not, it is the object's box.
        weights: float32 (n,), how sure the object is.
        sharp: uint8 (S, S, 3), the image before its motion blur; the image itself where there is none.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    ignore: NDArray[np.float32]
    negative: NDArray[np.float32]
    exact: NDArray[np.bool_]
    weights: NDArray[np.float32]
    sharp: NDArray[np.uint8]


@dataclass(frozen=True)
class Placement:
    """Where an image lands in the crop: X_out = x * scale_x + shift_x, likewise y (continuous)."""

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float

    def moved(self, x: float, y: float, zoom: float, shift: tuple[float, float]) -> Placement:
        """The place after zooming about the output point (x, y) and shifting."""
        new_x = x + (self.shift_x - x) * zoom + shift[0]
        new_y = y + (self.shift_y - y) * zoom + shift[1]
        return Placement(self.scale_x * zoom, self.scale_y * zoom, new_x, new_y)

    def coefficients(self, left: float, top: float, out_x: float, out_y: float) -> tuple[float, ...]:
        """Pillow's affine map from output (origin ``out_x, out_y``) to a patch at ``left, top``."""
        a, e = 1.0 / self.scale_x, 1.0 / self.scale_y
        c = (out_x - self.shift_x) * a - left
        f = (out_y - self.shift_y) * e - top
        return (a, 0.0, c, 0.0, e, f)


@dataclass
class _Canvas:
    """The image under construction: pixels and full-size alpha masks inside windows aligned to the stride."""

    image: NDArray[np.uint8]
    masks: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    items: list[Instance] = field(default_factory=list)

    def add(self, mask: NDArray[np.float32], item: Instance, area: float, identity: int) -> None:
        """One more object, of so many pixels were it whole."""
        self.masks.append(mask)
        self.items.append(item)
        self.labels.append(item.label)
        self.areas.append(area)
        self.ids.append(identity)


def place(width: int, height: int, size: int, rng: np.random.Generator, config: AugmentConfig) -> Placement:
    """Scale the longer side to ``size`` times the jitter; place at random, cropping or padding."""
    low, high = np.log(config.scale)
    scale = size / max(width, height) * float(np.exp(rng.uniform(low, high)))
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))

    def shift(extent: int) -> float:
        room = size - extent
        return float(rng.integers(min(room, 0), max(room, 0) + 1))

    return Placement(new_width / width, new_height / height, shift(new_width), shift(new_height))


def draw_image(
    pixels: NDArray[np.uint8], placement: Placement, size: int, antialias: bool
) -> NDArray[np.uint8]:
    """The image in its place on a padded square; point-sampled bilinear (as at run time) or antialiased."""
    height, width = pixels.shape[:2]
    out = np.full((size, size, 3), PADDING, np.uint8)
    source = Image.fromarray(pixels)
    x, y = round(placement.shift_x), round(placement.shift_y)
    new_width, new_height = round(width * placement.scale_x), round(height * placement.scale_y)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + new_width, size), min(y + new_height, size)
    if x0 >= x1 or y0 >= y1:
        return out
    shape = (x1 - x0, y1 - y0)
    if antialias:
        box = [(x0 - x) * width / new_width, (y0 - y) * height / new_height]
        box += [(x1 - x) * width / new_width, (y1 - y) * height / new_height]
        part = source.resize(shape, Image.Resampling.BILINEAR, box=tuple(box))
    else:
        coefficients = placement.coefficients(0, 0, x0, y0)
        part = source.transform(shape, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    out[y0:y1, x0:x1] = np.asarray(part)
    return out


def window(item: Instance, placement: Placement, size: int) -> tuple[int, int, int, int] | None:
    """The part (x0, y0, x1, y1) of the crop that an instance can touch, aligned to the stride."""

    def span(start: int, extent: int, scale: float, shift: float) -> tuple[int, int]:
        low, high = start * scale + shift, (start + extent) * scale + shift
        step = TARGET_STRIDE
        return max(int(low // step) * step, 0), min(-int(-high // step) * step, size)

    x0, x1 = span(item.x, item.mask.shape[1], placement.scale_x, placement.shift_x)
    y0, y1 = span(item.y, item.mask.shape[0], placement.scale_y, placement.shift_y)
    return None if x0 >= x1 or y0 >= y1 else (x0, y0, x1, y1)


def draw_mask(item: Instance, placement: Placement, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Alpha of an instance inside a window, 0 to 255."""
    coefficients = placement.coefficients(item.x, item.y, box[0], box[1])
    shape = (box[2] - box[0], box[3] - box[1])
    drawn = Image.fromarray(item.mask).transform(
        shape, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(drawn)


def _reduce(alpha: NDArray[np.uint8], box: tuple[int, int, int, int], size: int) -> NDArray[np.float32]:
    """Means over cells of the target stride, on the whole crop.

    Area means alias less than the official point-sampled resize of a full-size mask (our choice).
    """
    step = TARGET_STRIDE
    cells = alpha.reshape(alpha.shape[0] // step, step, alpha.shape[1] // step, step)
    out = np.zeros((size // step, size // step), np.float32)
    out[box[1] // step : box[3] // step, box[0] // step : box[2] // step] = cells.mean((1, 3)) / 255.0
    return out


@dataclass(frozen=True)
class _Paste:
    """An object to be drawn over a canvas."""

    pixels: NDArray[np.uint8]
    item: Instance
    placement: Placement
    identity: int


def _mirrored(pixels: NDArray[np.uint8], item: Instance) -> tuple[NDArray[np.uint8], Instance]:
    x = pixels.shape[1] - item.x - item.mask.shape[1]
    return pixels[:, ::-1], replace(item, mask=np.ascontiguousarray(item.mask[:, ::-1]), x=x)


def _paste(canvas: _Canvas, given: _Paste) -> None:
    """Draw one object over the canvas and take what it hides from the masks below."""
    size, pixels, item, placement = canvas.image.shape[0], given.pixels, given.item, given.placement
    box = window(item, placement, size)
    if box is None:
        return
    alpha = draw_mask(item, placement, box)
    visible = _reduce(alpha, box, size)
    if visible.sum() * TARGET_STRIDE**2 < 4 * MIN_VISIBLE:
        return
    left, top = max(item.x, 0), max(item.y, 0)
    right, bottom = item.x + item.mask.shape[1], item.y + item.mask.shape[0]
    patch = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    shape = (box[2] - box[0], box[3] - box[1])
    coefficients = placement.coefficients(left, top, box[0], box[1])
    drawn = np.asarray(
        patch.transform(shape, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    )
    area = canvas.image[box[1] : box[3], box[0] : box[2]]
    weight = alpha[..., None].astype(np.uint16)
    area[:] = (drawn * weight + area * (255 - weight)) // 255
    for mask in canvas.masks:
        mask *= 1.0 - visible
    canvas.add(visible, item, float(visible.sum()) * TARGET_STRIDE**2, given.identity)


Donor = Callable[[np.random.Generator, int | None], tuple[NDArray[np.uint8], Instance] | None]


def paste_placement(
    item: Instance, size: int, neighbour: NDArray[np.float32] | None, rng: np.random.Generator
) -> Placement:
    """Where a pasted object goes: beside a mask so that they touch, or anywhere at any size."""
    height, width = item.mask.shape
    if neighbour is not None:
        rows, columns = np.flatnonzero(neighbour.max(1) > 0.5), np.flatnonzero(neighbour.max(0) > 0.5)
        y0, y1 = rows[0] * TARGET_STRIDE, (rows[-1] + 1) * TARGET_STRIDE
        x0, x1 = columns[0] * TARGET_STRIDE, (columns[-1] + 1) * TARGET_STRIDE
        scale = float(np.sqrt((y1 - y0) * (x1 - x0) / (height * width)) * rng.uniform(0.7, 1.3))
        side = 1 if rng.random() < 0.5 else -1
        reach = ((x1 - x0) + width * scale) / 2 * rng.uniform(0.45, 1.0)
        centre_x = (x0 + x1) / 2 + side * reach
        centre_y = (y0 + y1) / 2 + rng.uniform(-0.25, 0.25) * (y1 - y0)
    else:
        target = size * float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))
        scale = target / max(height, width)
        centre_x, centre_y = rng.uniform(0.05, 0.95, 2) * size
    scale = min(scale, 1.5)
    left, top = item.x + width / 2, item.y + height / 2
    return Placement(scale, scale, centre_x - left * scale, centre_y - top * scale)


def _paste_objects(
    canvas: _Canvas,
    donor: Donor,
    own: list[tuple[NDArray[np.uint8], Instance]],
    rng: np.random.Generator,
    config: AugmentConfig,
) -> list[_Paste]:
    """Paste objects into the first frame; returns them for the second."""
    size = canvas.image.shape[0]
    pasted = []
    for number in range(int(rng.integers(1, config.paste_most + 1))):
        hosts = [i for i, mask in enumerate(canvas.masks) if (mask > 0.5).sum() >= 4]
        neighbour, label = None, None
        if hosts and rng.random() < config.neighbour:
            host = hosts[int(rng.integers(len(hosts)))]
            neighbour, label = canvas.masks[host], canvas.labels[host]
        same = [pair for pair in own if pair[1].label == label]
        if same and rng.random() < 0.5:
            given: tuple[NDArray[np.uint8], Instance] | None = same[int(rng.integers(len(same)))]
        else:
            given = donor(rng, label)
        if given is None:
            continue
        pixels, item = _mirrored(*given) if rng.random() < 0.5 else given
        placement = paste_placement(item, size, neighbour, rng)
        pasted.append(_Paste(pixels, item, placement, _PASTED_IDS + number))
        _paste(canvas, pasted[-1])
    return pasted


def color_jitter(image: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    """Brightness, contrast, saturation and color cast, by one affine map of the channels."""
    if strength <= 0:
        return image
    affine = color_matrix(rng, strength)
    out = image.reshape(-1, 3).astype(np.float32) @ affine[:3] + affine[3]
    return np.clip(out, 0, 255).astype(np.uint8).reshape(image.shape)


def color_matrix(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    """The map of :func:`color_jitter`, float32 (4, 3): RGB times the first three rows plus the last."""
    if strength <= 0:
        return np.eye(4, 3, dtype=np.float32)
    brightness, contrast, saturation = 1.0 + rng.uniform(-strength, strength, 3)
    if rng.random() < 0.04:
        saturation = 0.0
    cast = 1.0 + rng.uniform(-0.06, 0.06, 3)
    grey = np.array([[0.299], [0.587], [0.114]])
    matrix = (np.eye(3) * saturation + grey * (1.0 - saturation)) * contrast * brightness * cast[None, :]
    offset = 127.0 * (1.0 - contrast) * brightness
    return np.concatenate([matrix, np.full((1, 3), offset)]).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """An image with its objects before augmentation; ``ids`` name the objects within a clip."""

    pixels: NDArray[np.uint8]
    instances: list[Instance]
    ids: list[int]


def augment(
    frames: list[Frame],
    negative: NDArray[np.float32],
    size: int,
    rng: np.random.Generator,
    config: AugmentConfig,
    donor: Donor | None = None,
    *,
    motion: float = 0.0,
) -> list[Sample]:
    """Training samples of one image, or of the two frames of a clip, augmented alike.

    Args:
        frames: One or two frames of one size.
        negative: float32 (classes,), weight of the absence of each class (0: not labelled).
        size: Side of the square crop, a multiple of 32.
        donor: Gives an object to paste, of a class if one is asked for.
        motion: How far the scene moves between the frames, as a share of the crop; pasted objects move by
            ``config.motion`` on their own.
    """
    height, width = frames[0].pixels.shape[:2]
    placement = place(width, height, size, rng, config)
    antialias = bool(rng.random() < 0.5)
    canvases, unknown = [], []
    pasted: list[_Paste] = []
    for number, frame in enumerate(frames):
        if number:
            placement = _moved(placement, size / 2, size / 2, size, motion, rng)
        canvas, ignore = _draw(frame, placement, size, antialias)
        if number:
            for given in pasted:
                moved = _moved_object(given, size, config.motion, rng)
                _paste(canvas, moved)
        elif donor is not None and rng.random() < config.paste:
            pairs = [(frame.pixels, item) for item in frame.instances if item.label >= 0 and item.exact]
            own = [pair for pair in pairs if pair[1].mask.size >= 900]
            pasted = _paste_objects(canvas, donor, own, rng, config)
        canvases.append(canvas)
        unknown.append(ignore)
    jitter_seed, flip = int(rng.integers(2**62)), bool(rng.random() < config.flip)
    samples = []
    for canvas, ignore in zip(canvases, unknown, strict=True):
        canvas.image = color_jitter(canvas.image, np.random.default_rng(jitter_seed), config.color_jitter)
        sample = _finish(canvas, ignore, negative, flip)
        if config.blur > 0 and rng.random() < config.blur:
            objects = sample.masks.max(0, initial=0.0)
            sample = replace(sample, image=motion_blur(sample.sharp, objects, config.blur_most, rng))
        samples.append(sample)
    return samples


def _draw(
    frame: Frame, placement: Placement, size: int, antialias: bool
) -> tuple[_Canvas, NDArray[np.float32]]:
    """The canvas of a frame and its regions to ignore."""
    canvas = _Canvas(draw_image(frame.pixels, placement, size, antialias))
    ignore = np.zeros((size // TARGET_STRIDE, size // TARGET_STRIDE), np.float32)
    for item, identity in zip(frame.instances, frame.ids, strict=True):
        box = window(item, placement, size)
        if box is None:
            continue
        visible = _reduce(draw_mask(item, placement, box), box, size)
        if item.label < 0:
            np.maximum(ignore, visible, out=ignore)
            continue
        area = np.count_nonzero(item.mask) * placement.scale_x * placement.scale_y
        canvas.add(visible, item, area, identity)
    return canvas, ignore


def _moved(
    placement: Placement, x: float, y: float, size: int, motion: float, rng: np.random.Generator
) -> Placement:
    zoom = float(np.exp(rng.uniform(-motion, motion)))
    dx, dy = rng.uniform(-motion, motion, 2) * size
    return placement.moved(x, y, zoom, (float(dx), float(dy)))


def _moved_object(given: _Paste, size: int, motion: float, rng: np.random.Generator) -> _Paste:
    place, item = given.placement, given.item
    x = (item.x + item.mask.shape[1] / 2) * place.scale_x + place.shift_x
    y = (item.y + item.mask.shape[0] / 2) * place.scale_y + place.shift_y
    return _Paste(given.pixels, item, _moved(place, x, y, size, motion, rng), given.identity)


def _finish(
    canvas: _Canvas,
    ignore: NDArray[np.float32],
    negative: NDArray[np.float32],
    flip: bool,
) -> Sample:
    """Collect what is still visible; what is almost hidden or too small becomes unknown."""
    masks, kept = [], []
    for index, (mask, area) in enumerate(zip(canvas.masks, canvas.areas, strict=True)):
        visible = float(mask.sum()) * TARGET_STRIDE**2
        if visible >= max(MIN_VISIBLE, MIN_SHARE * area) and mask.max() > 0.5:
            masks.append(mask)
            kept.append(index)
        elif visible > 0:
            np.maximum(ignore, mask, out=ignore)
    stacked = np.stack(masks) if masks else np.zeros((0, *ignore.shape), np.float32)
    labels = np.array([canvas.labels[i] for i in kept], np.int64)
    ids = np.array([canvas.ids[i] for i in kept], np.int64)
    step = -1 if flip else 1
    image = np.ascontiguousarray(canvas.image[:, ::step])
    return Sample(
        image,
        np.ascontiguousarray(stacked[..., ::step], np.float32),
        labels,
        ids,
        np.ascontiguousarray(ignore[..., ::step]),
        negative,
        np.array([canvas.items[i].exact for i in kept], np.bool_),
        np.array([canvas.items[i].weight for i in kept], np.float32),
        image,
    )
