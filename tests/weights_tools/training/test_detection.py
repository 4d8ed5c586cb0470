"""The dense loss of places: who is matched, what it asks for, and that boxes follow it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("scipy")

from mobileinst.network.backbones.features import Places  # noqa: E402
from weights_tools.training.detection import dense, kept_losses, match_places, place_losses  # noqa: E402
from weights_tools.training.losses import Targets  # noqa: E402

SIZES = ((8, 8), (4, 4), (2, 2))


def places(kinds=2, batch=1, boxes=None):
    """Places of an image of 64 pixels that know nothing: boxes of a stride about each place."""
    found = []
    for height, width in SIZES:
        y, x = np.mgrid[:height, :width]
        extents = [np.full(x.shape, -np.log(side)) for side in (width, height)]
        row = np.stack([(x + 0.5) / width, (y + 0.5) / height, *extents])
        box = torch.tensor(row, dtype=torch.float32)[None].repeat(batch, 1, 1, 1)
        found.append(
            Places(
                torch.zeros(batch, kinds, height, width, requires_grad=True),
                torch.zeros(batch, 1, height, width, requires_grad=True),
                (box if boxes is None else boxes(box)).requires_grad_(),
                torch.zeros(batch, 4, height, width),
            )
        )
    return found


def square(x0, y0, x1, y1, side=16):
    mask = torch.zeros(side, side)
    mask[y0:y1, x0:x1] = 1.0
    return mask


def test_dense_rows_have_middles_and_corners():
    found = dense(places(), (1, 1))
    assert found.logits.shape == (1, 84, 2)
    assert found.middles[9].tolist() == pytest.approx([1.5 / 8, 1.5 / 8])
    assert found.boxes[0, 9].tolist() == pytest.approx([1 / 8, 1 / 8, 2 / 8, 2 / 8])
    assert found.strides[-1].tolist() == [0.5, 0.5]


def test_the_best_kind_speaks_for_a_class():
    given = places(kinds=3)
    with torch.no_grad():
        given[0].kinds[0, :, 0, 0] = torch.tensor([1.0, -1.0, 4.0])
    found = dense(given, (1, 2))
    assert found.logits[0, 0].tolist() == [1.0, 4.0]


def test_places_within_and_near_an_object_are_matched():
    found = dense(places(), (1, 1))
    box = torch.tensor([[0.25, 0.25, 0.5, 0.5]])
    rows, objects, overlap = match_places(found, 0, box, torch.tensor([0]))
    assert objects.tolist() == [0] * len(rows)
    middles = found.middles[rows]
    assert bool(((middles > box[0, :2]) & (middles < box[0, 2:])).all())
    # the place of the middle level that has just this box is among them
    assert float(overlap.max()) == pytest.approx(1.0, abs=1e-4)


def test_a_place_that_two_objects_want_is_of_one_of_them():
    found = dense(places(), (1, 1))
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.27, 0.27, 0.52, 0.52]])
    rows, _, _ = match_places(found, 0, boxes, torch.tensor([0, 1]))
    assert len(set(rows.tolist())) == len(rows)


def test_objects_raise_their_places_and_lower_others():
    given = places()
    masks = square(4, 4, 8, 8)[None]
    losses = place_losses(given, (1, 1), Targets([torch.tensor([1])], [masks]), 1.0)
    assert set(losses) == {"place", "place_class", "place_box"}
    torch.stack(list(losses.values())).sum().backward()
    push = [-float(p.objectness.grad[0, 0, i, i]) for p, i in zip(given, (0, 1, 1), strict=True)]
    assert push[1] > 0  # the place whose box it is
    assert push[0] < 0
    assert push[2] < 0
    kinds = given[1].kinds.grad[0, :, 1, 1]
    assert float(kinds[1]) < 0 < float(kinds[0])


def test_images_without_objects_lower_all_places():
    given = places()
    losses = place_losses(
        given, (1, 1), Targets([torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, 16, 16)]), 1.0
    )
    torch.stack(list(losses.values())).sum().backward()
    assert all(bool((p.objectness.grad > 0).all()) for p in given)
    assert float(losses["place_box"].detach()) == 0.0


def test_nothing_is_learned_where_nothing_is_known():
    given = places(batch=2)
    ignore = torch.zeros(2, 16, 16)
    ignore[0, :, 8:] = 1.0
    negative = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    none = [torch.zeros(0, dtype=torch.int64)] * 2
    targets = Targets(none, [torch.zeros(0, 16, 16)] * 2, negative, ignore)
    place_losses(given, (1, 1), targets, 1.0)["place"].backward()
    grad = given[0].objectness.grad[:, 0]
    assert bool((grad[0, :, :4] > 0).all())
    assert not bool(grad[0, :, 4:].any())
    assert not bool(grad[1].any())


def test_the_weight_scales_all():
    targets = Targets([torch.tensor([0])], [square(2, 2, 9, 9)[None]])
    one = place_losses(places(), (1, 1), targets, 1.0)
    two = place_losses(places(), (1, 1), targets, 2.0)
    for name, loss in one.items():
        assert float(two[name].detach()) == pytest.approx(2 * float(loss.detach()))


def test_boxes_are_pulled_over_their_objects():
    given = places()
    targets = Targets([torch.tensor([0])], [square(4, 4, 12, 12)[None]])
    parameters = [p.boxes for p in given] + [p.objectness for p in given]
    optimiser = torch.optim.Adam(parameters, lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        torch.stack(list(place_losses(given, (1, 1), targets, 1.0).values())).sum().backward()
        optimiser.step()
    found = dense([dataclasses.replace(p) for p in given], (1, 1))
    best = int(found.objectness[0].argmax())
    assert found.boxes[0, best].tolist() == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.03)


def test_what_a_detector_said_before_is_kept():
    before = places(kinds=3)
    with torch.no_grad():
        for level in before:
            level.kinds.uniform_(-4, 4)
            level.objectness.uniform_(-6, 2)
    learned = ("kinds", "objectness", "boxes")
    now = [
        dataclasses.replace(
            p,
            **{name: getattr(p, name).detach().clone().requires_grad_() for name in learned},
        )
        for p in before
    ]
    same = kept_losses(now, before, 2.0)
    assert same.keys() == {"kept", "kept_kind", "kept_box"}
    assert all(abs(loss.item()) < 1e-4 for loss in same.values())
    with torch.no_grad():
        for level in now:
            level.kinds.add_(1.0)
            level.objectness.sub_(1.0)
            level.boxes[:, :2].add_(0.05)
    optimiser = torch.optim.Adam([t for p in now for t in (p.kinds, p.objectness, p.boxes)], lr=0.02)
    start = {name: loss.item() for name, loss in kept_losses(now, before, 2.0).items()}
    assert all(loss > 0.05 for loss in start.values())
    for _ in range(150):
        optimiser.zero_grad()
        sum(kept_losses(now, before, 2.0).values()).backward()
        optimiser.step()
    end = kept_losses(now, before, 2.0)
    assert all(end[name].item() < 0.5 * start[name] for name in start)
