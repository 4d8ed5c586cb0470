"""Pictures for the page: frames with their instances, and tracks cut out, as data URIs."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..drawing import Overlay
from ..io.png import encode_png
from ..results import Instances, encode
from ..video import FrameSource
from .records import VideoRecord, read_frames

#: Width of the frames on the page, and length of the longer side of a track's picture, in pixels.
FRAME_WIDTH, CUT_SIDE = 560, 160


@dataclass
class Pictures:
    """Data URIs: of frames by their number, of tracks by their id."""

    frames: dict[int, str] = field(default_factory=dict)
    tracks: dict[int, str] = field(default_factory=dict)


def take_pictures(
    source: FrameSource, lines: str | os.PathLike[str], video: VideoRecord, strip: list[int]
) -> Pictures:
    """Read the source once and keep the frames of the strip and each track at its best.

    Raises:
        VideoError: if the source can't be read.
        ValueError: if its frames have another size than those that were tracked.
    """
    wanted: dict[int, list[int]] = {number: [] for number in strip}
    for track in video.tracks.values():
        wanted.setdefault(track.best, []).append(track.id)
    pictures = Pictures()
    last, chosen = max(wanted), set(strip)
    for number, (frame, (_, instances)) in enumerate(zip(source, read_frames(lines), strict=False)):
        if number in wanted:
            if frame.image.shape[:2] != instances.size:
                raise ValueError(
                    f"{source.name}: its frames are {frame.image.shape[:2]}, those that were tracked "
                    f"{instances.size}"
                )
            if number in chosen:
                pictures.frames[number] = data_uri(_drawn(frame.image, instances))
            for track_id in wanted[number]:
                pictures.tracks[track_id] = data_uri(_cut(frame.image, instances, track_id))
        if number >= last:
            break
    return pictures


def _drawn(image: NDArray[np.uint8], instances: Instances) -> NDArray[np.uint8]:
    small = shrink(image, FRAME_WIDTH / image.shape[1])
    size = small.shape[0], small.shape[1]
    rows = ((np.arange(size[0]) + 0.5) * image.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * image.shape[1] / size[1]).astype(int)
    masks = [instances.mask(i)[rows][:, columns] for i in range(len(instances))]
    kept = [i for i, mask in enumerate(masks) if mask.any()]
    shown = instances[kept]
    runs = encode(np.stack([masks[i] for i in kept])) if kept else []
    scaled = Instances(size, runs, shown.scores, shown.labels, shown.names, shown.ids)
    return Overlay().draw(small, scaled)


def _cut(image: NDArray[np.uint8], instances: Instances, track: int) -> NDArray[np.uint8]:
    one = instances[instances.ids == track][0]
    (part,) = one.crop(Overlay(masks=False, labels=False).draw(image, one), margin=0.08)
    return shrink(part, CUT_SIDE / max(part.shape[:2]))


def shrink(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The image at a scale of at most 1: by Pillow, or by leaving pixels out where there is none."""
    height, width = (max(1, round(side * min(scale, 1.0))) for side in image.shape[:2])
    try:
        from PIL import Image
    except ImportError:
        rows = ((np.arange(height) + 0.5) * image.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * image.shape[1] / width).astype(int)
        return np.ascontiguousarray(image[rows][:, columns])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX), np.uint8)


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image as the text of a link: JPEG by Pillow, or PNG where there is none."""
    try:
        from PIL import Image
    except ImportError:
        return f"data:image/png;base64,{base64.b64encode(encode_png(image)).decode()}"
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
