"""PNG files without an imaging package."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import Output


def encode_png(image: NDArray[Any]) -> bytes:
    """An image as a PNG file: uint8 (H, W, 3) color; bool, uint8 or uint16 (H, W) grey (True is 255).

    Raises:
        ValueError: for another dtype or shape, or an empty image.
    """
    if image.dtype == np.bool_:
        image = image.astype(np.uint8) * np.uint8(255)
    grey = image.ndim == 2 and image.dtype in (np.uint8, np.uint16)
    color = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not (grey or color) or not image.size:
        raise ValueError(
            "expected an image uint8 (H, W, 3), or bool, uint8 or uint16 (H, W), "
            f"got {image.dtype} {image.shape}"
        )
    height, width = image.shape[:2]
    rows = np.ascontiguousarray(image, image.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    # Each row starts with its filter; 0 is none.
    data = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8 * image.dtype.itemsize, 2 if color else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def write_png(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write an image as `encode_png` makes it; the file appears whole or not at all."""
    encoded = encode_png(image)
    with Output(path) as output:
        output.open("wb").write(encoded)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
