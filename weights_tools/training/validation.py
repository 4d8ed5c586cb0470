"""Mask AP on a COCO set while training runs, in PyTorch and pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mobileinst.masks.logits import run_lengths
from mobileinst.masks.overlap import suppress_duplicates
from weights_tools.torch_ops import MobileInst, kernel_boxes
from weights_tools.training.processes import Group
from weights_tools.training.source import CocoSource, class_indices

#: Mask threshold of the paper's sources, as a probability (docs/spec.md: Scores and masks).
MASK_THRESHOLD = 0.45
#: Of masks that overlap by more only the best is kept, as the runtime does.
DUPLICATE_IOU = 0.7

_MASK_LOGIT = float(np.log(MASK_THRESHOLD / (1 - MASK_THRESHOLD)))


def input_size(height: int, width: int, size: int) -> tuple[int, int]:
    """The network's input for a frame: shorter side ``size``, longer at most 4/3 of it, multiples of 32."""
    scale = min(size / min(height, width), size * 4 / 3 / max(height, width))
    return max(32, round(height * scale / 32) * 32), max(32, round(width * scale / 32) * 32)


def scores(class_logits: Tensor, objectness_logits: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Score, sqrt(class * objectness) * maskness, and class of each query."""
    best, labels = class_logits.float().sigmoid().max(1)
    score = (best * objectness_logits.float().sigmoid()).sqrt()
    probability = F.interpolate(mask_logits[None].float(), scale_factor=2.0, mode="bilinear")[0].sigmoid()
    inside = (probability > MASK_THRESHOLD).float()
    maskness = (probability * inside).sum((1, 2)) / (inside.sum((1, 2)) + 1e-6)
    return score * maskness, labels


@torch.no_grad()
def predict(
    model: MobileInst, pixels: np.ndarray, size: int, mean: Tensor, std: Tensor, most: int
) -> list[dict[str, Any]]:
    """The best instances of an image uint8 (H, W, 3): score, label and compressed run lengths."""
    from pycocotools import mask as coco_mask

    height, width = pixels.shape[:2]
    device = mean.device
    image = torch.from_numpy(np.array(pixels)).to(device).permute(2, 0, 1)[None].float()
    image = F.interpolate(image, input_size(height, width, size), mode="bilinear", align_corners=False)
    with torch.autocast(device.type, torch.bfloat16):
        out = model(((image - mean) / std).contiguous(memory_format=torch.channels_last))
    logits = out["mask_logits"][0].float()
    score, labels = scores(out["class_logits"][0], out["objectness_logits"][0], logits)
    rough = score.argsort(descending=True)[: 2 * most].cpu()
    rough = rough[score[rough] > 0.005]
    masks = (logits[rough] > _MASK_LOGIT).numpy()
    kept = suppress_duplicates(score[rough].numpy(), masks, DUPLICATE_IOU)
    order = rough[torch.from_numpy(kept)][:most]
    found = []
    windowed = model.config.query_source == "places"
    boxes = kernel_boxes(out["kernels"][0][order]).cpu().numpy() if windowed else None
    runs = run_lengths(logits[order].cpu().numpy(), (height, width), _MASK_LOGIT, boxes)
    for i, counts in zip(order.tolist(), runs, strict=True):
        rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
        found.append({"score": float(score[i]), "label": int(labels[i]), "segmentation": rle})
    return found


class Validation:
    """A COCO set with the classes of the model.

    Args:
        limit: At most this many images, evenly spread over the file.
    """

    def __init__(
        self, annotations: Path, images: Path, classes: Sequence[str], size: int, limit: int
    ) -> None:
        self.source = CocoSource(annotations, images, classes)
        self.size = size
        data = json.loads(annotations.read_text())
        count = len(data["images"])
        chosen = np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int))
        self._chosen = chosen.tolist()
        self._ids = [int(data["images"][i]["id"]) for i in self._chosen]
        self._truth = self._ground_truth(data)

    def _ground_truth(self, data: dict[str, Any]) -> dict[str, Any]:
        labels = class_indices(data["categories"], self.source.classes)
        ids = set(self._ids)
        annotations = [
            {**a, "category_id": labels[a["category_id"]] + 1}
            for a in data["annotations"]
            if a["image_id"] in ids and a["category_id"] in labels
        ]
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(self.source.classes)]
        images = [image for image in data["images"] if image["id"] in ids]
        return {"info": {}, "images": images, "annotations": annotations, "categories": categories}

    def run(
        self, model: MobileInst, mean: Tensor, std: Tensor, group: Group, most: int = 60
    ) -> dict[str, float]:
        """AP, AP50 and AP75 over all, per class and per area; processes share the images."""
        was_training = model.training
        model.eval()
        results = []
        for index, image_id in list(zip(self._chosen, self._ids, strict=True))[group.rank :: group.size]:
            for item in predict(model, self.source.image(index), self.size, mean, std, most):
                label = item.pop("label")
                results.append({**item, "image_id": image_id, "category_id": label + 1})
        model.train(was_training)
        gathered = group.gather(results)
        merged = [item for part in gathered for item in part]  # type: ignore[attr-defined]
        return evaluate(self._truth, merged, self.source.classes)


def evaluate(
    truth: dict[str, Any], results: list[dict[str, Any]], classes: Sequence[str]
) -> dict[str, float]:
    """COCO mask AP in percent by name: AP, AP50, AP75, APs, APm, APl, and per class.

    A class or a range of areas without objects in the set is left out, but AP is 0 then.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    if not results:
        return dict.fromkeys(names, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        run = COCOeval(reference, reference.loadRes([dict(item) for item in results]), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    found = zip(names, run.stats[: len(names)].tolist(), strict=True)
    table = {"AP": 0.0, **{name: 100.0 * value for name, value in found if value >= 0}}
    precision = run.eval["precision"][:, :, :, 0, 2]
    for index, name in enumerate(classes):
        if precision[0, 0, index] < 0:
            continue
        table[f"AP {name}"] = 100.0 * float(precision[:, :, index].mean())
        table[f"AP50 {name}"] = 100.0 * float(precision[0, :, index].mean())
        table[f"F1 {name}"], table[f"threshold {name}"] = best_f1(run.evalImgs, index, len(run.params.imgIds))
    return table


def best_f1(records: Sequence[Any], label: int, images: int) -> tuple[float, float]:
    """Largest F1 of a class at IoU 0.5, and the score threshold that reaches it.

    Args:
        records: ``COCOeval.evalImgs`` with 4 area ranges, the first of all areas.
        label: Index of the class.
        images: Number of images.
    """
    scores, hits, positives = [], [], 0
    for record in records[label * 4 * images : (label * 4 + 1) * images]:
        if record is None:
            continue
        counted = ~np.asarray(record["dtIgnore"][0], bool)
        scores.append(np.asarray(record["dtScores"])[counted])
        hits.append(np.asarray(record["dtMatches"][0])[counted] > 0)
        positives += int((~np.asarray(record["gtIgnore"], bool)).sum())
    if not scores or positives == 0:
        return 0.0, 0.5
    score, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(hit[order])
    f1 = 2.0 * found / (np.arange(1, len(order) + 1) + positives)
    best = int(f1.argmax()) if len(f1) else 0
    return (100.0 * float(f1[best]), float(score[order][best])) if len(f1) else (0.0, 0.5)
