"""The rate of independent multiply-adds on registers."""

from __future__ import annotations

import pytest

from tests.support.definitions import TIERS
from tests.support.kernel_bindings import timing


def test_every_tier_has_a_peak() -> None:
    assert all(timing.peak_gflops(tier, 30) > 0 for tier in TIERS)
    with pytest.raises(ValueError, match="tier"):
        timing.peak_gflops("nosuch")
    with pytest.raises(ValueError, match="milliseconds"):
        timing.peak_gflops(None, 0)
