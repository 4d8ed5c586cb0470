"""Mask logits of objects as users have them, for the benchmark of whole frames.

A network of random weights gives ragged noise for masks, whose outlines are many times longer than those of
any object. So the timed frame uses the logits that the shipped default weights give for objects in real
pictures, or, where there are no pictures, ellipses with soft borders.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native, load_weights
from mobileinst.engine import NativeModel
from mobileinst.masks.overlap import mask_iou
from mobileinst.segmenter import MASK_LOGIT

Array = NDArray[np.float32]

#: Logit of cells that hold nothing.
BACKGROUND = -6.0

#: Two masks of one frame overlap at most so much, as after suppression of duplicates.
MOST_OVERLAP = 0.7

#: Share of an object that stays in the frame when it is moved.
_LEAST_LEFT = 0.6


def shared_pictures(photographs: int = 24) -> list[Path]:
    """Videos and photographs of the folder that MOBILEINST_SHARED names, or of `../shared`; [] without it or
    without OpenCV, which reads them."""
    if importlib.util.find_spec("cv2") is None:
        return []
    default = Path(__file__).resolve().parents[2].parent / "shared"
    data = Path(os.environ.get("MOBILEINST_SHARED", default)) / "data"
    return [
        *sorted((data / "videos").glob("*.mp4")),
        *sorted((data / "coco_val" / "images").glob("*.jpg"))[:photographs],
    ]


def read_picture(path: Path, frame: int = 60) -> NDArray[np.uint8]:
    """A picture, uint8 (H, W, 3) in RGB: .npy, anything that OpenCV reads, or one frame of a video.

    Raises:
        ImportError: if OpenCV is needed and missing.
        ValueError: if the file can't be read.
    """
    if path.suffix == ".npy":
        return np.asarray(np.load(path), np.uint8)
    import cv2

    if path.suffix in (".mp4", ".mov", ".mkv", ".webm"):
        video = cv2.VideoCapture(str(path))
        video.set(cv2.CAP_PROP_POS_FRAMES, frame)
        found, image = video.read()
        video.release()
    else:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        found = image is not None
    if not found:
        raise ValueError(f"{path}: expected a picture or a video")
    return np.ascontiguousarray(image[:, :, ::-1])


def found_objects(pictures: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> list[Array]:
    """Mask logits (h, w), as the network gives them, of what the default weights find in the pictures.

    Args:
        size: (height, width) of the network's input, eight times that of the logits.
    """
    weights = load_weights()
    session = NativeModel(weights).session(*size)
    thresholds = np.asarray(weights.score_threshold)
    objects: list[Array] = []
    for picture in pictures:
        session.load_frame(picture)
        session.run_features()
        class_logits, objectness_logits, kernels = session.run_instances()
        logits = session.mask_logits(kernels)
        masks = _native.heaviest_components(logits, MASK_LOGIT) > MASK_LOGIT
        classes, objectness = _sigmoid(class_logits), _sigmoid(objectness_logits)
        scores = np.sqrt(classes * objectness[:, None]) * _native.maskness(logits)[:, None]
        kept: list[int] = []
        for i in np.argsort(-scores.max(1)):
            if scores[i].max() < thresholds[scores[i].argmax()] or not masks[i].any():
                continue
            if not kept or mask_iou(masks[i : i + 1], masks[kept]).max() <= MOST_OVERLAP:
                kept.append(int(i))
        objects += [logits[i] for i in kept]
    return objects


def ellipses(count: int, shape: tuple[int, int], seed: int = 5) -> list[Array]:
    """Mask logits (h, w) of ellipses of 2 % to 20 % of the frame whose borders are about two cells wide."""
    generator = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    objects: list[Array] = []
    for _ in range(count):
        area = generator.uniform(0.02, 0.2) * height * width
        ratio, turn = generator.uniform(0.4, 2.5), generator.uniform(0, np.pi)
        a, b = np.sqrt(area * ratio / np.pi), np.sqrt(area / ratio / np.pi)
        u, v = x - generator.uniform(0, width), y - generator.uniform(0, height)
        along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        distance = (1 - np.hypot(along / a, across / b)) * min(a, b)
        objects.append(np.clip(2 * distance, BACKGROUND, -BACKGROUND).astype(np.float32))
    return objects


def place(objects: Sequence[Array], count: int, seed: int = 9) -> Array:
    """`count` objects of one frame, float32 (count, h, w): those given, then again at other places.

    The heaviest components of no two of them overlap by more than MOST_OVERLAP and none is empty.

    Raises:
        ValueError: if no object is given, or so many don't find room.
    """
    generator = np.random.default_rng(seed)
    placed: list[Array] = []
    masks: list[NDArray[np.bool_]] = []
    for logits in _candidates(objects, generator, 200 * count):
        mask = _native.heaviest_components(logits[None], MASK_LOGIT)[0] > MASK_LOGIT
        free = not masks or mask_iou(mask[None], np.stack(masks)).max() <= MOST_OVERLAP
        if mask.any() and free:
            placed.append(logits)
            masks.append(mask)
        if len(placed) == count:
            return np.stack(placed)
    raise ValueError(f"{count} objects find no room, only {len(placed)} do")


def _candidates(objects: Sequence[Array], generator: np.random.Generator, tries: int) -> Iterator[Array]:
    yield from objects
    for i in range(tries if objects else 0):
        logits = objects[i % len(objects)]
        down, right = (int(generator.integers(-n // 2, n // 2 + 1)) for n in logits.shape)
        moved = _shift(logits, down, right)
        if (moved > MASK_LOGIT).sum() >= _LEAST_LEFT * (logits > MASK_LOGIT).sum():
            yield moved


def _shift(logits: Array, down: int, right: int) -> Array:
    """Logits moved by so many cells; background comes in from the other side."""
    moved = np.full_like(logits, BACKGROUND)
    height, width = logits.shape
    target = moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
    target[:] = logits[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    return moved


def describe(logits: Array, source: str) -> str:
    """A sentence for reports: where the masks come from and how large they are."""
    area = float((logits > MASK_LOGIT).mean())
    runs = _native.rle_from_logits(logits, 8 * logits.shape[1], 8 * logits.shape[2], MASK_LOGIT)
    length = float(np.mean([len(x) for x in runs]))
    return (
        f"masks: {source}; on average {area:.1%} of the frame and {length:.0f} runs (at 8 times the logits)"
    )


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)
