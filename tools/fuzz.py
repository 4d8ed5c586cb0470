"""Feeds damaged files to everything that reads files of others; nothing but its own error may come out.

    python tools/fuzz.py --seconds 60
    python tools/fuzz.py --seconds 3600 --seed 7 --only video annotations

Inputs are small files that are made here, with bytes, numbers, keys and structure changed at random. What
goes wrong is kept in the folder of `--keep`, with a traceback on standard error; the exit status is then 1. A
reader that hangs or takes down the process ends the run: the last input is in the folder, too.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mobileinst import Instances, _native
from mobileinst.evaluation import DataError, identity, youtube_vis
from mobileinst.evaluation.run_lengths import decompress, frame_runs
from mobileinst.evaluation.validate import validate
from mobileinst.video import VideoError, VideoWriter, open_source, read_image
from mobileinst.weights import WeightsError, find_weights, load_weights, read_safetensors

#: Values that parsers and checks stumble over.
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        2**64,
        -(2**63),
        0.5,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        "0",
        "1",
        "-1",
        "é\n~~~",
        "\x00",
        "x" * 5000,
        [],
        [[]],
        [None],
        {},
        {"size": [1, 1], "counts": "01"},
    ),
]
MASK = {"size": [6, 8], "counts": [10, 5, 33]}
VIDEOS: dict[str, Any] = {
    "videos": [{"id": 1, "height": 6, "width": 8, "length": 2, "file_names": ["a.png", "b.png"]}],
    "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}],
    "annotations": [
        {
            "id": 1,
            "video_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentations": [MASK, None],
            "areas": [5, None],
        },
        {"id": 2, "video_id": 1, "category_id": 1, "segmentations": [None, [[1, 1, 5, 1, 5, 4]]]},
    ],
}
TRACKS: list[Any] = [
    {"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [MASK, {"size": [6, 8], "counts": "`1"}]}
]
IMAGES: dict[str, Any] = {
    "images": [{"id": 1, "height": 6, "width": 8, "file_name": "a.png"}],
    "categories": VIDEOS["categories"],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]], "area": 9}
    ],
}
FOUND: list[Any] = [{"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": MASK}]


class Fuzzer:
    """Makes inputs at random and calls the readers; `random` decides everything."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.films = _films(folder)
        whole = find_weights().read_bytes()
        (length,) = struct.unpack("<Q", whole[:8])
        # The header is what is parsed; of the tensors a beginning will do.
        self.weights = whole[: 8 + length + 64]

    def damaged(self, content: bytes, front: int = 400) -> bytes:
        """Some bytes changed, mostly near the front; perhaps cut off, doubled or with a part left out."""
        data = bytearray(content)
        for _ in range(self.random.choice((1, 1, 2, 4, 16))):
            if data:
                most = len(data) if self.random.random() < 0.5 else min(front, len(data))
                data[self.random.randrange(most)] = self.random.choice(
                    (0, 255, 127, 128, self.random.randrange(256))
                )
        start, end = sorted(self.random.randrange(len(data) + 1) for _ in range(2))
        way = self.random.random()
        if way < 0.2:
            del data[start:]
        elif way < 0.25:
            del data[start:end]
        elif way < 0.3:
            data[start:start] = data[start:end]
        return bytes(data)

    def changed(self, value: Any) -> Any:
        """A JSON value with something odd somewhere in it."""
        whole = [copy.deepcopy(value)]
        for _ in range(self.random.choice((1, 1, 2, 3))):
            place: Any = whole
            key: Any = 0
            while isinstance(place[key], (dict, list)) and place[key] and self.random.random() < 0.85:
                place = place[key]
                key = (
                    self.random.choice(list(place))
                    if isinstance(place, dict)
                    else self.random.randrange(len(place))
                )
            way = self.random.random()
            if way < 0.15 and len(place) > 1:
                del place[key]
            elif way < 0.25 and isinstance(place, list):
                place.append(copy.deepcopy(place[key]))
            elif way < 0.35 and isinstance(place[key], (int, float)):
                place[key] = str(place[key])
            else:
                place[key] = copy.deepcopy(self.random.choice(ODD))
        return whole[0]

    def annotations(self) -> None:
        truth, found = self.random.choice(((VIDEOS, TRACKS), (IMAGES, FOUND)))
        pair = [self.changed(truth), found] if self.random.random() < 0.5 else [truth, self.changed(found)]
        paths = [self.folder / "truth.json", self.folder / "found.json"]
        for path, value in zip(paths, pair, strict=True):
            content = json.dumps(value).encode()
            path.write_bytes(self.damaged(content) if self.random.random() < 0.2 else content)
        validate(paths[1], paths[0])
        if truth is VIDEOS:
            youtube_vis.evaluate(paths[0], paths[1])
            identity.evaluate(paths[0], paths[1])
        else:
            from mobileinst.evaluation import coco

            coco.evaluate(paths[0], paths[1])

    def weights_file(self) -> None:
        path = self.folder / "w.safetensors"
        (length,) = struct.unpack("<Q", self.weights[:8])
        content = self.damaged(self.weights, 8 + length)
        if self.random.random() < 0.5:
            text = json.dumps(self.changed(json.loads(self.weights[8 : 8 + length]))).encode()
            content = struct.pack("<Q", len(text)) + text + self.weights[8 + length :]
        path.write_bytes(content)
        for read in (read_safetensors, load_weights):
            try:
                read(path)
            except WeightsError:
                continue

    def video(self) -> None:
        name, content = self.random.choice(self.films)
        path = self.folder / f"film{Path(name).suffix}"
        path.write_bytes(self.damaged(content))
        for number, _ in enumerate(open_source(path)):
            if number > 50:
                break
        if path.suffix in (".png", ".jpg"):
            read_image(path)

    def run_lengths(self) -> None:
        text = bytes(
            self.random.choice(b"0123456789`abcdenoPQ~\xff ") for _ in range(self.random.randrange(12))
        )
        (self.folder / "runs.txt").write_bytes(text)
        height, width = (self.random.choice((1, 3, 6, 65535, 2**20)) for _ in range(2))
        counts: Any = text.decode("latin-1")
        if self.random.random() < 0.5:
            counts = [
                self.random.choice((0, 1, 5, 48, 2**31, 2**32 - 1)) for _ in range(self.random.randrange(6))
            ]
        if isinstance(counts, str):
            decompress(counts)
        frame_runs({"size": [height, width], "counts": counts}, height, width)
        runs = np.array(decompress(counts) if isinstance(counts, str) else counts, np.uint32)
        instances = Instances((height, width), [runs], [0.5], [0], ["x"])
        if height * width < 10**7:
            _native.rle_decode(runs, height, width)
            instances.masks()


def _films(folder: Path) -> list[tuple[str, bytes]]:
    """Small files of the kinds that sources read."""
    from PIL import Image

    frames = [np.full((16, 24, 3), 40 * i, np.uint8) for i in range(5)]
    films = []
    for name in ("a.mp4", "a.mkv", "a.mov"):
        with VideoWriter(folder / name, 10) as writer:
            for frame in frames:
                writer.write(frame)
        films.append((name, (folder / name).read_bytes()))
    images = [Image.fromarray(frame) for frame in frames]
    for name in ("a.gif", "a.webp", "a.tif", "a.png", "a.jpg"):
        several: dict[str, Any] = {} if name == "a.jpg" else {"save_all": True, "append_images": images[1:]}
        images[0].save(folder / name, **several)
        films.append((name, (folder / name).read_bytes()))
    buffer = io.BytesIO()
    np.save(buffer, np.stack(frames))
    films.append(("a.npy", buffer.getvalue()))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, np.stack(frames))
    return [*films, ("a.npz", buffer.getvalue())]


def main(arguments: list[str] | None = None) -> int:
    """Run for a while; returns 1 if something other than a reader's own error came."""
    parser = argparse.ArgumentParser(prog="python tools/fuzz.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where inputs that fail are kept")
    targets = ("annotations", "weights_file", "video", "run_lengths")
    parser.add_argument("--only", nargs="+", choices=targets, default=targets)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    folder = options.keep or Path(tempfile.mkdtemp(prefix="mobileinst-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    fuzzer = Fuzzer(options.seed, folder)
    failures: set[str] = set()
    counts = dict.fromkeys(options.only, 0)
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        target = fuzzer.random.choice(options.only)
        counts[target] += 1
        try:
            run: Callable[[], None] = getattr(fuzzer, target)
            run()
        except (DataError, VideoError, WeightsError):
            continue
        except ValueError as error:
            if target == "run_lengths":
                continue
            _keep(failures, target, folder, error)
        except Exception as error:
            _keep(failures, target, folder, error)
    print(", ".join(f"{name}: {count} inputs" for name, count in counts.items()))
    print(f"{len(failures)} failures" + (f", kept in {folder}" if failures else ""))
    return 1 if failures else 0


def _keep(failures: set[str], target: str, folder: Path, error: Exception) -> None:
    """Tell of a failure and keep its input, once for each place in the code."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    key = f"{target}-{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}"
    if key in failures:
        return
    failures.add(key)
    kept = folder / key
    kept.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("a."):
            (kept / path.name).write_bytes(path.read_bytes())
    traceback.print_exception(error, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
