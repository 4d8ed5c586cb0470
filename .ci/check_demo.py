"""Check what the demo left in a folder: a video and a picture that open, and that show drawn masks."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mobileinst.video.demo import DemoSource


def main(folder: Path) -> None:
    source = [frame.image for frame in DemoSource()]
    with av.open(str(folder / "demo.mp4")) as container:
        video = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(video) == len(source), f"expected {len(source)} frames, got {len(video)}"
    assert video[0].shape == source[0].shape, f"expected frames {source[0].shape}, got {video[0].shape}"
    drawn = [_changed(a, b) for a, b in zip(video, source, strict=True)]
    assert min(np.sort(drawn)[len(drawn) // 4 :]) > 0.02, f"nothing is drawn on many frames: {drawn}"
    picture = np.asarray(Image.open(folder / "demo.png").convert("RGB"))
    assert picture.shape == source[0].shape
    assert min(_changed(picture, frame) for frame in source) > 0.02, "nothing is drawn on the picture"
    print(f"demo: {len(video)} frames, masks cover {np.mean(drawn):.0%} of a frame on average")


def _changed(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pixels that differ by more than a video's compression makes them."""
    return float((np.abs(a.astype(np.int16) - b).max(-1) > 40).mean())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
