"""The clip on which a wheel is tried on emulated cores, and whether they see in it what this machine does.

    python .ci/check_wheel.py clip CLIP.mp4
    python .ci/check_wheel.py compare CORE FOLDER

FOLDER has what doctor said (CORE.txt), what track found (CORE.jsonl) and found here (expected.jsonl).
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

#: Frames of the demo's clip in which both, the person and the animal, are found.
FIRST, COUNT = 0, 3

#: FFmpeg makes RGB of a video's frames by other instructions on ARM: 62 % of the clip's values differ by 1
#: or 2 of 255. So boxes may differ by so many pixels, and scores by so much.
PIXELS, SCORE = 2.0, 0.05


def make_clip(path: Path) -> None:
    from mobileinst.video import VideoWriter
    from mobileinst.video.demo import DemoSource

    with VideoWriter(path, DemoSource.rate) as writer:
        for frame in itertools.islice(DemoSource(), FIRST, FIRST + COUNT):
            writer.write(frame.image)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def compare(core: str, folder: Path) -> None:
    said = (folder / f"{core}.txt").read_text(encoding="utf-8")
    assert "PROBLEM" not in said, said
    name = "-".join(word.capitalize() for word in core.split("-"))
    for words in (f" x {name}", "instruction set: neon", "manylinux_2_17_aarch64", "as installed"):
        assert words in said, f"{core}: doctor says nothing of {words}"
    found, expected = records(folder / f"{core}.jsonl"), records(folder / "expected.jsonl")
    assert len(found) == len(expected) == COUNT
    labels = {one["label"] for record in expected for one in record["instances"]}
    assert labels >= {"person", "animal"}, f"only {labels} in the clip"
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours["instances"], theirs["instances"], strict=True):
            assert (one["id"], one["label"]) == (other["id"], other["label"])
            assert abs(one["score"] - other["score"]) <= SCORE, (one, other)
            for a, b in zip(one["box"], other["box"], strict=True):
                assert abs(a - b) <= PIXELS, (one, other)
    print(f"{core}: {COUNT} frames as on this machine")


if __name__ == "__main__":
    if sys.argv[1] == "clip":
        make_clip(Path(sys.argv[2]))
    else:
        compare(sys.argv[2], Path(sys.argv[3]))
