"""Size, score powers and thresholds of weights, by cross-validation.

    python -m weights_tools.training.choose WEIGHTS --annotations instances.json --images images

Every size and every choice of powers is measured on both halves of the images (every other image), through
the native engine. What is best on one half is measured on the other: the mean of both is what unseen images
may give, less optimistic than the best on all. Thresholds are where F1 is best on all images.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobileinst.engine import NativeModel
from mobileinst.evaluation.coco import evaluate
from mobileinst.evaluation.summary import Evaluation
from mobileinst.masks.logits import heaviest_components, maskness, run_lengths
from mobileinst.masks.overlap import suppress_duplicates
from mobileinst.results import Instances
from mobileinst.segmenter import MASK_LOGIT, MASK_THRESHOLD, network_size
from mobileinst.weights import load_weights
from weights_tools.command import tells_errors
from weights_tools.training.source import class_indices

Array = NDArray[np.float32]
Powers = tuple[float, float, float]

SIZES = (320, 384, 448, 512, 640)
#: Only ratios matter to AP, so the class has one power.
POWERS: tuple[Powers, ...] = tuple(itertools.product((0.5,), (0.0, 0.25, 0.5, 1.0), (0.5, 1.0, 2.0, 3.0)))
#: Queries of an image that are looked at.
_MOST = 60
#: The runtime's default.
_DUPLICATE_IOU = 0.7


@dataclass(frozen=True)
class Candidates:
    """The best queries of one image.

    Attributes:
        image_id: Of the annotations.
        classes: Probabilities (n, classes).
        objectness: (n,).
        maskness: (n,).
        masks: bool (n, h, w), at the network's resolution.
        runs: COCO run lengths of the masks in the image.
    """

    image_id: int
    classes: Array
    objectness: Array
    maskness: Array
    masks: NDArray[np.bool_]
    runs: list[dict[str, Any]]

    def results(self, powers: Powers) -> Iterator[dict[str, Any]]:
        """What the runtime would find, in COCO's form; category ids are class indices plus 1."""
        a, b, c = powers
        scores = self.classes**a * (self.objectness**b * self.maskness**c)[:, None]
        best = scores.max(1)
        for i in suppress_duplicates(best, self.masks, _DUPLICATE_IOU):
            label = int(scores[i].argmax())
            found = {"image_id": self.image_id, "category_id": label + 1, "score": float(best[i])}
            yield {**found, "segmentation": self.runs[i]}


def candidates(model: NativeModel, frame: NDArray[np.uint8], image_id: int, size: int) -> Candidates:
    """Run the network on one image and keep what any choice of powers may need."""
    height, width = int(frame.shape[0]), int(frame.shape[1])
    session = model.session(*network_size((height, width), size))
    session.load_frame(np.ascontiguousarray(frame), bgr=model.weights.color == "bgr")
    session.run_features()
    class_logits, objectness_logits, kernels = session.run_instances()
    classes, objectness = _sigmoid(class_logits), _sigmoid(objectness_logits)
    chosen = np.argsort(-classes.max(1), kind="stable")[:_MOST]
    logits = heaviest_components(session.mask_logits(kernels[chosen]), MASK_LOGIT)
    lengths = run_lengths(logits, (height, width), MASK_LOGIT, session.boxes(kernels[chosen]))
    kept = [i for i, run in enumerate(lengths) if len(run) > 1]
    chosen, logits = chosen[kept], logits[kept]
    none = np.zeros(len(kept), np.int64)
    names = ["" for _ in kept]
    runs = [lengths[i] for i in kept]
    found = Instances((height, width), runs, none.astype(np.float32), none, names, None)
    sure = maskness(logits, MASK_THRESHOLD)
    masks = logits > MASK_LOGIT
    return Candidates(image_id, classes[chosen], objectness[chosen], sure, masks, found.rle())


def _sigmoid(x: Array) -> Array:
    return (1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))).astype(np.float32)


class Halves:
    """The annotations of every other image, with the model's classes as categories."""

    def __init__(self, annotations: Path, classes: Sequence[str], limit: int | None = None) -> None:
        data = json.loads(annotations.read_text())
        self.images: list[Mapping[str, Any]] = data["images"][:limit]
        labels = class_indices(data["categories"], classes)
        self._objects = [
            {**a, "category_id": labels[int(a["category_id"])] + 1}
            for a in data["annotations"]
            if int(a["category_id"]) in labels
        ]
        self._categories = [{"id": i + 1, "name": name} for i, name in enumerate(classes)]

    def ids(self, half: int | None) -> set[int]:
        """Image ids of a half, 0 or 1, or of all."""
        chosen = self.images if half is None else self.images[half::2]
        return {int(image["id"]) for image in chosen}

    def truth(self, half: int | None) -> dict[str, Any]:
        """Annotations of a half or of all images."""
        ids = self.ids(half)
        return {
            "info": {},
            "images": [image for image in self.images if image["id"] in ids],
            "annotations": [a for a in self._objects if a["image_id"] in ids],
            "categories": self._categories,
        }

    def measure(self, found: Sequence[Candidates], powers: Powers, half: int | None) -> Evaluation:
        """AP of candidates on a half or on all images."""
        ids = self.ids(half)
        results = [r for one in found if one.image_id in ids for r in one.results(powers)]
        return evaluate(self.truth(half), results)


def choose(
    weights: str, annotations: Path, images: Path, sizes: Sequence[int], limit: int | None = None
) -> dict[str, Any]:
    """Measure all choices.

    Returns:
        ``table``: rows of size, powers, AP on the halves and on all; ``chosen``: the best on all;
        ``unseen``: AP on each half with what is best on the other; ``thresholds``: best F1 and score of each;
        ``sizes``: all that is measured on all images with the chosen powers.
    """
    model = NativeModel(load_weights(weights), threads=1)
    halves = Halves(annotations, model.weights.classes, limit)
    rows: list[dict[str, Any]] = []
    found: dict[int, list[Candidates]] = {}
    for size in sizes:
        found[size] = []
        for record in halves.images:
            with Image.open(images / record["file_name"]) as opened:
                frame = np.asarray(opened.convert("RGB"))
            found[size].append(candidates(model, frame, int(record["id"]), size))
        for powers in POWERS:
            ap = [100.0 * halves.measure(found[size], powers, half)["AP"] for half in (0, 1, None)]
            rows.append({"size": size, "powers": powers, "halves": ap[:2], "all": ap[2]})
        best = max((row for row in rows if row["size"] == size), key=lambda row: float(row["all"]))
        print(f"size {size}: {best}", flush=True)
    chosen = max(rows, key=lambda row: float(row["all"]))
    unseen = [float(max(rows, key=lambda row: row["halves"][1 - h])["halves"][h]) for h in (0, 1)]
    final = halves.measure(found[chosen["size"]], chosen["powers"], None)
    thresholds = {name: final.best_f1(name) for name in model.weights.classes}
    by_size = {size: halves.measure(found[size], chosen["powers"], None).to_dict() for size in sizes}
    return {"table": rows, "chosen": chosen, "unseen": unseen, "thresholds": thresholds, "sizes": by_size}


@tells_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Choose size, score powers and thresholds of WEIGHTS by cross-validation over two halves of a set."""
    parser = argparse.ArgumentParser(prog="python -m weights_tools.training.choose", description=main.__doc__)
    parser.add_argument("weights", help="weights file")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO JSON")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--limit", type=int, help="at most so many images")
    options = parser.parse_args(arguments)
    made = choose(options.weights, options.annotations, options.images, options.sizes, options.limit)
    print(json.dumps({key: made[key] for key in ("chosen", "unseen", "thresholds", "sizes")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
