"""Matcher and losses against the reference values; their rules for images with no or partial labels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("scipy")

from weights_tools.training.auxiliary import centre_loss, semantic_loss  # noqa: E402
from weights_tools.training.losses import (  # noqa: E402
    LossWeights,
    Masks,
    Targets,
    assign,
    class_weights,
    in_boxes,
    instance_losses,
    mask_iou,
)
from weights_tools.training.matcher import match  # noqa: E402

REFERENCE_WEIGHTS = LossWeights(classification=2.0, dice=2.0, bce=5.0, objectness=1.0)


def reference_case(shared: Path, case: int):
    file = shared / "golden" / "sparseinst_losses" / "losses.npz"
    with np.load(file) as arrays:
        return {k.split("/")[1]: arrays[k] for k in arrays.files if k.startswith(f"case{case}/")}


def resize_targets(masks: torch.Tensor, input_size: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Official targets: masks (n, h, w) zero-padded to the batch's input size, then bilinear, kept soft."""
    height, width = input_size
    padded = torch.nn.functional.pad(masks.float(), (0, width - masks.shape[2], 0, height - masks.shape[1]))
    if masks.shape[0] == 0:
        return padded.new_zeros((0, *size))
    return torch.nn.functional.interpolate(padded[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def run_case(case):
    logits, masks, scores = (
        torch.tensor(case[name], requires_grad=True) for name in ("pred_logits", "pred_masks", "pred_scores")
    )
    size = tuple(case["input_shape"].tolist())
    truth = [resize_targets(torch.tensor(case[f"masks{b}"]), size, masks.shape[2:]) for b in range(2)]
    targets = Targets([torch.tensor(case[f"labels{b}"]) for b in range(2)], truth)
    chosen = assign(logits, masks, targets)
    losses = instance_losses(
        logits,
        scores[..., 0],
        Masks(masks),
        targets,
        REFERENCE_WEIGHTS,
        objects=max(targets.count, 1),
        assignment=chosen,
    )
    sum(losses.values()).backward()
    return losses, chosen, {"logits": logits, "masks": masks, "scores": scores}


@pytest.mark.parametrize("number", [0, 1, 3])
def test_values_and_gradients_equal_the_reference(shared, number):
    case = reference_case(shared, number)
    losses, chosen, inputs = run_case(case)
    for b in range(2):
        here = chosen.image == b
        np.testing.assert_array_equal(chosen.query[here], case[f"match_query{b}"])
        np.testing.assert_array_equal(chosen.target[here], case[f"match_gt{b}"])
    for ours, theirs in (("class", "ce"), ("dice", "dice"), ("bce", "mask"), ("objectness", "objectness")):
        assert losses[ours].item() == pytest.approx(float(case[f"loss_{theirs}_weighted"]), abs=1e-4)
    for name, tensor in inputs.items():
        np.testing.assert_allclose(tensor.grad, case[f"grad_pred_{name}"], atol=1e-6, rtol=1e-4)


def test_batch_without_objects_trains_classes_only(shared):
    losses, chosen, inputs = run_case(reference_case(shared, 2))
    assert chosen.query.numel() == 0
    assert losses["class"].item() > 0
    assert [losses[name].item() for name in ("dice", "bce", "objectness")] == [0.0, 0.0, 0.0]
    assert inputs["logits"].grad.abs().sum() > 0
    assert not inputs["masks"].grad.any()
    assert not inputs["scores"].grad.any()


def random_problem(queries=6, objects=3, classes=3, size=12, seed=0):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (objects,), generator=rng)
    masks = (torch.rand((objects, size, size), generator=rng) > 0.6).float()
    logits = torch.randn((1, queries, classes), generator=rng)
    mask_logits = torch.randn((1, queries, size, size), generator=rng) * 2
    return logits, mask_logits, Targets([labels], [masks])


@pytest.mark.parametrize("seed", range(4))
def test_matcher_finds_the_best_of_all_assignments(seed):
    logits, masks, targets = random_problem(seed=seed)
    query, target = match(logits[0], masks[0], targets.labels[0], targets.masks[0])
    probability = masks[0].sigmoid()
    score = np.zeros((6, 3))
    for q, t in itertools.product(range(6), range(3)):
        p, m = probability[q], targets.masks[0][t]
        dice = 2 * (p * m).sum() / ((p * p).sum() + (m * m).sum() + 1e-4)
        score[q, t] = dice**0.8 * logits[0, q, targets.labels[0][t]].sigmoid() ** 0.2
    best = max(sum(score[q, t] for t, q in enumerate(p)) for p in itertools.permutations(range(6), 3))
    assert sum(score[q, t] for q, t in zip(query.tolist(), target.tolist(), strict=True)) == pytest.approx(
        best
    )


def test_copies_give_every_object_several_queries():
    logits, masks, targets = random_problem(queries=9)
    query, target = match(logits[0], masks[0], targets.labels[0], targets.masks[0], copies=2)
    assert sorted(target.tolist()) == [0, 0, 1, 1, 2, 2]
    assert len(set(query.tolist())) == 6
    few, _ = match(logits[0, :4], masks[0, :4], targets.labels[0], targets.masks[0], copies=2)
    assert len(few) == 4


def test_matcher_refuses_masks_of_another_size():
    logits, masks, targets = random_problem()
    with pytest.raises(ValueError, match="differ in size"):
        match(logits[0], masks[0, :, :5], targets.labels[0], targets.masks[0])


def test_unlabelled_classes_are_no_background():
    logits, masks, targets = random_problem()
    logits.requires_grad_(True)
    partial = Targets(targets.labels, targets.masks, negative=torch.tensor([[1.0, 0.0, 0.5]]))
    chosen = assign(logits, masks, partial)
    losses = instance_losses(
        logits, masks.mean((2, 3)), Masks(masks), partial, LossWeights(), objects=3.0, assignment=chosen
    )
    losses["class"].backward()
    matched = torch.zeros(6, dtype=torch.bool)
    matched[chosen.query] = True
    gradient = logits.grad[0]
    assert (gradient[~matched, 1] == 0).all()
    assert (gradient[~matched][:, [0, 2]] != 0).all()
    assert (gradient[matched] != 0).all()


def test_queries_on_ignored_regions_learn_no_background():
    masks = torch.full((1, 3, 8, 8), -5.0)
    masks[0, 0, :, :4] = 5.0
    masks[0, 1, :, 4:] = 5.0
    masks[0, 2, :2, :2] = 5.0
    ignore = torch.zeros(1, 8, 8)
    ignore[0, :, :4] = 1.0
    empty = Targets([torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, 8, 8)], ignore=ignore)
    chosen = assign(torch.zeros(1, 3, 2), masks, empty)
    weight = class_weights(masks, chosen, empty, 2)
    assert weight[0, :, 0].tolist() == [0.0, 1.0, 0.0]


def test_semantic_loss_leaves_unlabelled_background_alone():
    masks = torch.zeros(1, 8, 8)
    masks[0, 2:6, 2:6] = 1.0
    targets = Targets([torch.tensor([0])], [masks], negative=torch.tensor([[1.0, 0.0]]))
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    semantic_loss(logits, targets).backward()
    inside = masks[0] > 0
    assert (logits.grad[0, 0] != 0).all()
    assert (logits.grad[0, 1][~inside] == 0).all()
    assert (logits.grad[0, 1][inside] > 0).all()


def test_centre_loss_is_zero_at_the_true_centre():
    masks = torch.zeros(1, 9, 9)
    masks[0, 3:6, 2:7] = 1.0
    targets = Targets([torch.tensor([0])], [masks])
    step = 2.0 / 8
    extent = [0.25 * float(np.log(np.var(np.arange(n)) * step**2)) for n in (5, 3)]
    right = torch.tensor([0.0, 0.0, *extent]).reshape(1, 4, 1, 1).expand(1, 4, 9, 9)
    assert centre_loss(right, targets).item() == pytest.approx(0.0, abs=1e-5)
    wrong = right.clone()
    wrong[0, 0] += 0.5
    assert centre_loss(wrong, targets).item() == pytest.approx(0.5, abs=1e-5)


def test_masks_in_boxes_are_learned_on_a_grid_over_each_box():
    masks = torch.zeros(3, 20, 30)
    masks[0, 4:12, 6:18] = 1.0
    masks[1, 4:12, 6:18] = 1.0
    masks[2, 10:13, 10:13] = 1.0
    boxes = torch.tensor([[0.2, 0.2, 0.6, 0.6], [0.2, 0.2, 0.4, 0.6], [0.3, 0.45, 0.5, 0.7]])
    logits = torch.where(masks > 0, 4.0, -4.0)
    picked, truth, share = in_boxes(logits, masks, boxes)
    assert picked.shape == truth.shape == (3, 64, 64)
    assert share.tolist() == pytest.approx([1.0, 0.5, 1.0], abs=0.08)
    assert float(truth[0].mean()) > 0.95  # all but rounded corners
    assert float(truth[2].mean()) == pytest.approx(3 * 3 / (6 * 5), abs=0.03)
    assert float(mask_iou(picked, truth, share)[1]) == pytest.approx(0.5, abs=0.02)
    none = in_boxes(logits[:0], masks[:0], boxes[:0])
    assert none[0].shape == (0, 64, 64)


def test_unmatched_queries_learn_less_of_what_is_known_without_labels():
    logits, masks, targets = random_problem()
    logits.requires_grad_(True)
    chosen = assign(logits, masks, targets)
    known = torch.zeros(1, 6, 3)
    known[..., 1] = 1.0
    known[..., 2] = 0.5
    gradients = []
    for given in (None, known):
        logits.grad = None
        losses = instance_losses(
            logits,
            masks.mean((2, 3)),
            Masks(masks),
            targets,
            LossWeights(),
            objects=3.0,
            assignment=chosen,
            known=given,
        )
        losses["class"].backward()
        gradients.append(logits.grad[0].clone())
    unmatched = torch.ones(6, dtype=torch.bool)
    unmatched[chosen.query] = False
    plain, less = (g[unmatched] for g in gradients)
    torch.testing.assert_close(less, plain * torch.tensor([1.0, 0.0, 0.5]))
    torch.testing.assert_close(gradients[0][~unmatched], gradients[1][~unmatched])
