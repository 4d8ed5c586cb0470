"""Which groups stay in floats: their names, what they hold, and how they are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst.engine import offered_precisions
from mobileinst.network import ModelConfig
from mobileinst.results import Instances
from mobileinst.weights import Weights
from tests.support.networks import make_metadata
from tests.support.random_weights import random_tensors
from weights_tools import quantise, sensitivity

CONFIG = ModelConfig("topformer_t", width=32, queries=5, classes=2)
#: What float32 finds with every query, so that there is something to compare.
METADATA = {**make_metadata(CONFIG), "size": 64, "score_threshold": 0.0}


def frames() -> list[NDArray[np.uint8]]:
    return [np.random.default_rng(i).integers(0, 256, (64, 80, 3), dtype=np.uint8) for i in range(3)]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """A small network with ranges."""
    plain = Weights(random_tensors(CONFIG, seed=2), METADATA)  # whose masks are not empty
    choices, _ = quantise.choose_ranges(quantise.observe(plain, frames()))
    return Weights(plain.tensors, quantise.with_ranges(METADATA, choices))


def test_groups_are_parts_of_names() -> None:
    assert sensitivity.group_of("backbone.head.reg_convs.0.1.pconv") == "backbone.head.reg_convs"
    assert sensitivity.group_of("backbone.dark3.0.dconv") == "backbone.dark3"
    assert sensitivity.group_of("mask_decoder.before.3.conv") == "mask_decoder.before"
    assert sensitivity.group_of("instance_decoder.global.cross.query") == "instance_decoder.global"
    assert sensitivity.group_of("stem") == "stem"


def test_groups_hold_what_turns_their_results_into_floats(weights: Weights) -> None:
    groups = sensitivity.find_groups(weights, sensitivity.group_of)
    # mask_decoder.after.3 reads that of `before` alone, and gives floats to a sum
    assert "mask_decoder.after.3.conv" in groups["mask_decoder.before"].nodes
    assert "mask_decoder.after.4.conv" not in groups["mask_decoder.before"].nodes
    assert all(0 < group.share < 1 for group in groups.values())
    own = {name for group in groups.values() for name in group.nodes}
    rooms = sensitivity.find_groups(weights, lambda name: name.split(".")[0])
    assert own == {name for room in rooms.values() for name in room.nodes}
    kept = Weights(weights.tensors, {**weights.metadata, "float_nodes": ["mask_decoder.before.3.conv"]})
    left = sensitivity.find_groups(kept, sensitivity.group_of)["mask_decoder.before"].nodes
    assert "mask_decoder.before.3.conv" not in left


GAINS = {"backbone.tpm.stem": 0.03, "mask_decoder.lateral": 0.02, "mask_decoder.after": 0.01}


class Fake:
    """An agreement that depends on the groups in floats alone: what each adds, and two of them together."""

    objects = 7

    def __init__(self, weights: Weights, frames: Sequence[Any]) -> None:
        self.groups = sensitivity.find_groups(weights, sensitivity.group_of)

    def of(self, weights: Weights) -> float:
        kept = set(weights.float_nodes)
        gained = [gain for name, gain in GAINS.items() if kept.issuperset(self.groups[name].nodes)]
        return 0.9 + sum(gained)


def test_the_groups_that_gain_most_are_kept(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "Agreement", Fake)
    groups = sensitivity.find_groups(weights, sensitivity.group_of)

    def kept(**limits: float) -> list[str]:
        nodes, lines = sensitivity.choose_floats(weights, [], **{"most_share": 1.0, **limits})
        found = [line.split(" stays")[0] for line in lines if "stays in floats" in line]
        assert nodes == [name for group in found for name in groups[group].nodes]
        return found

    assert kept() == ["backbone.tpm.stem", "mask_decoder.lateral", "mask_decoder.after"]
    assert kept(least_gain=0.015) == ["backbone.tpm.stem", "mask_decoder.lateral"]
    assert kept(least_gain=0.1) == []
    assert kept(most_share=groups["mask_decoder.lateral"].share) == ["mask_decoder.lateral"]


def test_objects_are_compared_by_the_nearest_mask() -> None:
    runs = [np.array(counts) for counts in ([0, 32, 32], [0, 16, 48], [48, 16])]  # columns of 8 pixels
    both = Instances((8, 8), runs, [0.9, 0.8, 0.7], [0, 0, 0], ["a", "a", "a"])
    np.testing.assert_allclose(sensitivity.nearest(both[:1], both[1:]), [0.5])
    np.testing.assert_allclose(sensitivity.nearest(both[2:], both[:2]), [0.0])
    np.testing.assert_allclose(sensitivity.nearest(both, both[:0]), [0.0, 0.0, 0.0])


@pytest.mark.skipif("int8" not in offered_precisions(), reason="the instruction set has no int8")
def test_the_agreement_falls_with_a_range_that_is_wrong_and_not_in_floats(weights: Weights) -> None:
    agreement = sensitivity.Agreement(weights, frames())
    assert agreement.objects > sensitivity.Agreement(weights, frames(), count=1).objects > 0
    layer = "instance_decoder.ffn.linear1"
    wrong = {**weights.metadata, "ranges": {**weights.ranges, layer: (0.0, 1e-3)}}
    whole = agreement.of(weights)
    assert 0.5 < whole <= 1
    assert agreement.of(Weights(weights.tensors, wrong)) < whole - 0.01
    floats = sensitivity.find_groups(weights, sensitivity.group_of)["instance_decoder.ffn"].nodes
    mended = agreement.of(Weights(weights.tensors, {**wrong, "float_nodes": list(floats)}))
    assert mended > whole - 0.01
    nodes, lines = sensitivity.choose_floats(Weights(weights.tensors, wrong), frames(), most_share=0.9)
    assert layer in nodes
    assert any(line.startswith("instance_decoder.ffn stays in floats: +") for line in lines)
