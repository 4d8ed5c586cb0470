"""Objects of which only the box is known: read, matched and learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from PIL import Image  # noqa: E402

from mobileinst.network import selection  # noqa: E402
from weights_tools.training.augment import AugmentConfig  # noqa: E402
from weights_tools.training.boxes import (  # noqa: E402
    assign_by_boxes,
    pairwise_loss,
    projection_loss,
    query_boxes,
    similar_neighbours,
    target_boxes,
)
from weights_tools.training.data import DataConfig, TrainingSet  # noqa: E402
from weights_tools.training.losses import Targets, class_weights  # noqa: E402
from weights_tools.training.source import CocoSource, JoinedSource, open_source  # noqa: E402

# pycocotools and NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = ("person", "vehicle")
CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 3, "name": "car", "supercategory": "vehicle"},
]


def write(folder: Path) -> tuple[Path, Path, Path]:
    """An image with a masked person, a car's box, and a pseudo box of a person."""
    (folder / "images").mkdir(parents=True)
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(folder / "images/0.png")
    polygon = [[10.0, 10.0, 30.0, 10.0, 30.0, 40.0, 10.0, 40.0]]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "segmentation": polygon},
        {"id": 2, "image_id": 7, "category_id": 3, "iscrowd": 0, "box_only": True, "bbox": [40, 20, 20, 30]},
    ]
    record = {"id": 7, "file_name": "0.png", "width": 80, "height": 60, "set": "s", "labelled": ["vehicle"]}
    data = {"images": [record], "annotations": annotations, "categories": CATEGORIES}
    (folder / "a.json").write_text(json.dumps(data))
    pseudo = [{"image_id": 7, "category": "person", "bbox": [60, 5, 10, 20], "score": 0.6, "pseudo": True}]
    (folder / "p.json").write_text(json.dumps({"annotations": pseudo}))
    return folder / "a.json", folder / "images", folder / "p.json"


@pytest.mark.parametrize("cached", [False, True])
def test_boxes_are_read_with_their_weight(tmp_path: Path, cached: bool) -> None:
    path, images, pseudo = write(tmp_path)
    source = open_source(path, images, CLASSES, tmp_path / "cache" if cached else None, pseudo)
    found = source.instances(0)
    assert [(x.label, x.exact, round(x.weight, 3)) for x in found] == [
        (0, True, 1.0),
        (1, False, 1.0),
        (0, False, 0.6),
    ]
    box = found[1]
    assert (box.x, box.y, box.mask.shape) == (39, 19, (32, 22))
    assert (box.mask[1:-1, 1:-1] == 255).all()
    assert source.donors(0) == {0}


def test_sets_are_joined_with_their_repeats(tmp_path: Path) -> None:
    sources = [CocoSource(*write(tmp_path / name)[:2], CLASSES) for name in "ab"]
    joined = JoinedSource(sources)
    assert len(joined.infos) == 2
    assert len(joined.instances(1)) == 2
    data = TrainingSet(joined, DataConfig(augment=AugmentConfig(paste=0.0)), 0, [1.0, 3.0])
    assert sorted(data.index(k) for k in range(4)) == [0, 1, 1, 1]
    batch = data.batch(range(4), 64)
    assert all(
        e.shape == w.shape == x.shape
        for e, w, x in zip(batch.exact, batch.weights, batch.labels, strict=True)
    )


def places(boxes: list[list[float]]) -> torch.Tensor:
    """Tokens of queries with boxes (centre and extents)."""
    rows = torch.zeros(1, len(boxes), selection.token_channels(1, 2, 2))
    start = rows.shape[2] - selection.BOX_CHANNELS - selection.WINDOW_CHANNELS
    given = torch.tensor(boxes)
    rows[0, :, start : start + 2] = given[:, :2]
    rows[0, :, start + 2 : start + 4] = given[:, 2:].log()
    return rows


def test_queries_get_the_objects_in_their_boxes() -> None:
    masks = torch.zeros(2, 16, 16)
    masks[0, 2:10, 2:10] = 1
    masks[1, 12:16, 12:16] = 1
    torch.testing.assert_close(target_boxes(masks)[0], torch.tensor([0.125, 0.125, 0.625, 0.625]))
    rows = places(
        [[0.9, 0.1, 0.1, 0.1], [0.375, 0.375, 0.5, 0.5], [0.375, 0.375, 0.45, 0.45], [0.5, 0.5, 1.0, 1.0]]
    )
    torch.testing.assert_close(query_boxes(rows)[0, 1], torch.tensor([0.125, 0.125, 0.625, 0.625]))
    targets = Targets([torch.tensor([0, 1])], [masks], torch.ones(1, 2), None, [torch.tensor([False, False])])
    logits = torch.zeros(1, 4, 2)
    matched, near = assign_by_boxes(rows, logits, torch.zeros(1, 4, 8, 8), targets)
    assert (matched.query.tolist(), matched.target.tolist()) == ([1], [0])  # nobody is near the second
    assert (near.query.tolist(), near.target.tolist()) == ([1, 2], [0, 0])
    weight = class_weights(torch.zeros(1, 4, 8, 8), matched, targets, 2, near)
    assert weight is not None
    assert weight[0, :, 0].tolist() == [1.0, 1.0, 0.0, 1.0]


def test_masks_learn_from_boxes_and_colors() -> None:
    box = torch.zeros(1, 12, 12)
    box[0, 3:9, 2:8] = 1
    right, wrong = 20.0 * box - 10.0, 10.0 - 20.0 * box
    assert projection_loss(right, box) < 1e-3 < projection_loss(wrong, box)
    images = torch.zeros(1, 3, 24, 24)
    images[:, :, :, 10:] = 1.0  # the object's right part has another color
    alike = similar_neighbours(images, (12, 12))
    columns = torch.arange(12)[None, None].expand(1, 12, 12)
    at_the_edge, beside_it = (torch.where(columns < cut, 10.0, -10.0) for cut in (5, 3))
    assert pairwise_loss(at_the_edge, box, alike) < 0.01 < 1.0 < pairwise_loss(beside_it, box, alike)
    logits = torch.zeros(1, 12, 12, requires_grad=True)
    (projection_loss(logits, box) + pairwise_loss(logits, box, alike)).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
