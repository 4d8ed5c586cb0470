"""Pieces of a long video (ours): where it is cut, and how a piece is read.

Every piece begins at one of the tracker's keyframes, so that each frame is a keyframe exactly if it is one in
the whole video, and has the same candidates. A piece begins a keyframe before it is shown, so that it has
most of the kernels that may go on in it (`mobileinst.batch.candidates`).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..video import FolderSource, FrameSource, VideoError, VideoSource, read_image
from ..video.frames import reason
from ..video.streams import Matrix, av_errors, upright, video_stream
from .options import Options

#: Keyframes that a piece computes before it is shown: results are the same for any number. The last one saves
#: the joining a frame's work, others rarely anything.
OVERLAP = 1


@dataclass(frozen=True)
class Piece:
    """Frames `first` to `end` (exclusive) of a source, shown from `shown` on.

    Of a video also: `seek`, the time stamp from which the decoder has to begin, and those of the frames
    `first` and `end`, in its stream's units; `end_stamp` is None at the video's end.
    """

    number: int
    first: int
    shown: int
    end: int
    seek: int = 0
    first_stamp: int = 0
    end_stamp: int | None = None


@dataclass(frozen=True)
class Cut:
    """A source in pieces. times: seconds of each of its frames since the first."""

    pieces: tuple[Piece, ...]
    times: tuple[float, ...]


def cut(source: FrameSource, options: Options, overlap: int = OVERLAP) -> Cut | None:
    """Cut a source into pieces of `options.split` seconds; None where it is shorter than one and a half, or
    its time stamps don't tell its frames.

    Raises:
        VideoError: if it can't be read.
    """
    if options.split is None:
        return None
    index = _index(source)
    if index is None:
        return None
    times = index.times[: options.max_frames]
    every = options.keyframe_every
    rate = (len(times) - 1) / times[-1] if len(times) > 1 and times[-1] > 0 else 0.0
    length = max(math.ceil(options.split * rate / every), 1) * every
    if rate <= 0 or len(times) < 1.5 * length:
        return None
    # What would be less than half a piece at the end belongs to the one before.
    cuts = [*range(0, max(len(times) - length // 2, 1), length), len(times)]
    pieces = []
    for number, (shown, end) in enumerate(itertools.pairwise(cuts)):
        first = max(shown - overlap * every, 0)
        pieces.append(index.piece(number, first, shown, end))
    return Cut(tuple(pieces), tuple(times))


@dataclass(frozen=True)
class _Index:
    """Frames of a source by time, and for a video its stamps and its decoder's entry points, both sorted."""

    times: Sequence[float]
    stamps: Sequence[int] = ()
    entries: Sequence[tuple[int, int]] = ()

    def piece(self, number: int, first: int, shown: int, end: int) -> Piece:
        if not self.stamps:
            return Piece(number, first, shown, end)
        stamp = self.stamps[first]
        entry = self.entries[max(bisect_right(self.entries, (stamp, 1 << 62)) - 1, 0)]
        end_stamp = self.stamps[end] if end < len(self.stamps) else None
        return Piece(number, first, shown, end, entry[1], stamp, end_stamp)


def _index(source: FrameSource) -> _Index | None:
    if isinstance(source, FolderSource) and source.rate:
        return _Index([float(number / source.rate) for number in range(len(source.paths))])
    if not isinstance(source, VideoSource) or not source.rereadable:
        return None
    with source.open_container() as container:
        stream = video_stream(container)
        packets = [packet for packet in container.demux(stream) if packet.size]
        # AVI counts packets instead of telling when frames are shown.
        if not packets or not stream.time_base or "avi" in container.format.name:
            return None
        for packet in packets:
            # Frames that are left out, or have no time of their own, can't be counted by their packets.
            if packet.pts is None or packet.is_discard or packet.is_corrupt:
                return None
        stamps = sorted(packet.pts for packet in packets)
        if len(set(stamps)) < len(stamps):
            return None
        entries = sorted(
            (p.pts, p.pts if p.dts is None else min(p.pts, p.dts)) for p in packets if p.is_keyframe
        )
        if not entries or entries[0][0] > stamps[0]:
            return None
        times = [float((stamp - stamps[0]) * stream.time_base) for stamp in stamps]
    return _Index(times, stamps, entries)


def read_piece(source: FrameSource, piece: Piece) -> Iterator[NDArray[np.uint8]]:
    """The frames of a piece.

    Raises:
        VideoError: if they can't be decoded, or are not as many as they should be.
    """
    if isinstance(source, FolderSource):
        for path in source.paths[piece.first : piece.end]:
            yield read_image(path)
        return
    if not isinstance(source, VideoSource):
        raise VideoError(f"{source.name}: expected a video or a folder of images")
    number = 0
    for image in _decode(source, piece):
        yield image
        number += 1
    if number != piece.end - piece.first:
        raise VideoError(
            f"{source.name}: frames {piece.first} to {piece.end - 1} can't be read apart: {number} came"
        )


def _decode(source: VideoSource, piece: Piece) -> Iterator[NDArray[np.uint8]]:
    with source.open_container() as container:
        stream = video_stream(container)
        container.seek(piece.seek, stream=stream)
        frames = container.decode(stream)
        matrices: dict[Any, Matrix | None] = {}
        while True:
            try:
                frame = next(frames, None)
            except av_errors() as error:
                raise VideoError(f"{source.name}: can't be decoded: {reason(error)}") from None
            if frame is None or (piece.end_stamp is not None and (frame.pts or 0) >= piece.end_stamp):
                return
            if frame.pts is not None and frame.pts >= piece.first_stamp:
                yield upright(frame, matrices)
