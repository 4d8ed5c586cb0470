"""Small videos as cameras, phones and editors write them, made by PyAV and by changes to MP4's boxes."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Rows and columns of the pictures; the bar of picture i stands in the i-th eighth of the columns.
SIZE = (48, 64)
_BAR = 8


def bars(count: int) -> list[NDArray[np.uint8]]:
    """Pictures (H, W, 3) with a bright bar that tells their number, modulo 8."""
    pictures = []
    for number in range(count):
        picture = np.full((*SIZE, 3), 30, np.uint8)
        start = _BAR * (number % 8)
        picture[:, start : start + _BAR] = 230
        pictures.append(picture)
    return pictures


def bar_of(image: NDArray[np.uint8]) -> int:
    """The number of a picture of `bars`, modulo 8."""
    return int(image[:, :, 0].mean(0).argmax()) // _BAR


def write_bars(
    path: Path, codec: str = "libx264", *, count: int = 6, rate: int = 10, hold: float = 0, **options: str
) -> bytes:
    """Write `bars` as a video and return its bytes; the last one stands for `hold` seconds."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        packets: list[Any] = []
        for number, picture in enumerate(bars(count)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        last = max(packets, key=lambda packet: packet.pts)
        for packet in packets:
            if hold and packet is last:
                packet.duration = int(hold / packet.time_base)
            container.mux(packet)
    return path.read_bytes()


def box(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4 file."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def insert(data: bytes, at: int, new: bytes, inside: list[bytes], instead_of: int = 0) -> bytes:
    """The file with bytes put in, in the place of some others; the boxes `inside` which they are grow."""
    changed = bytearray(data)
    for kind in inside:
        start = data.index(kind) - 4
        (size,) = struct.unpack_from(">I", data, start)
        struct.pack_into(">I", changed, start, size + len(new) - instead_of)
    return bytes(changed[:at] + new + changed[at + instead_of :])


def with_cover_first(data: bytes, picture: bytes) -> bytes:
    """An MP4 whose index stands at its end, with a JPEG as cover in front of the video track."""
    handler = box(b"hdlr", struct.pack(">II4s12s", 0, 0, b"mdir", b"appl") + b"\0")
    cover = box(b"ilst", box(b"covr", box(b"data", struct.pack(">II", 13, 0) + picture)))
    return insert(
        data, data.index(b"trak") - 4, box(b"udta", box(b"meta", bytes(4) + handler + cover)), [b"moov"]
    )


def with_edits(data: bytes, edits: list[tuple[float, float | None]]) -> bytes:
    """An MP4 that shows these parts only: (seconds long, second where it begins; None shows nothing)."""
    at = data.index(b"elst")
    (clock,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    (ticks,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    count, _, first = struct.unpack_from(">IIi", data, at + 8)
    entries = b"".join(
        struct.pack(
            ">Iii", round(length * clock), -1 if start is None else first + round(start * ticks), 1 << 16
        )
        for length, start in edits
    )
    new = struct.pack(">I", len(edits)) + entries
    return insert(data, at + 8, new, [b"moov", b"trak", b"edts", b"elst"], instead_of=4 + 12 * count)


def with_matrix(data: bytes, matrix: tuple[int, ...]) -> bytes:
    """An MP4 with another display matrix: nine numbers, 16.16 and in the last column 2.30."""
    at = data.index(b"tkhd") + 44
    return data[:at] + struct.pack(">9i", *matrix) + data[at + 36 :]
