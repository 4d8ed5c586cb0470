"""The rate of independent multiply-adds on registers."""

from __future__ import annotations

import pytest

from tests.support.definitions import TIERS
from tests.support.kernel_bindings import timing


def test_the_peak_of_a_faster_tier_is_not_lower() -> None:
    peaks = [timing.peak_gflops(tier, 30) for tier in TIERS]
    assert min(peaks) > 0.1
    assert peaks[-1] > 0.5 * max(peaks)
    with pytest.raises(ValueError, match="tier"):
        timing.peak_gflops("nosuch")
    with pytest.raises(ValueError, match="milliseconds"):
        timing.peak_gflops(None, 0)
