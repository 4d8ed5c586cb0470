"""The rate of independent multiply-adds on registers."""

from __future__ import annotations

import pytest

from tests.support.definitions import TIERS
from tests.support.kernel_bindings import timing


def test_every_tier_has_a_peak() -> None:
    assert all(timing.peak_gflops(tier, 30) > 0 for tier in TIERS)
    with pytest.raises(ValueError, match="ref"):
        timing.peak_gflops("ref", 30, "int8")
    with pytest.raises(ValueError, match="tier"):
        timing.peak_gflops("nosuch")
    with pytest.raises(ValueError, match="milliseconds"):
        timing.peak_gflops(None, 0)


@pytest.mark.parametrize(
    ("tier", "dtype"),
    [
        ("avx2", "int8"),
        ("avx2_vnni", "int8"),
        ("avx512_vnni", "int8"),
        ("neon_dot", "int8"),
        ("neon_fp16", "float16"),
    ],
)
def test_tiers_with_products_of_narrower_elements_have_a_peak_of_them(tier: str, dtype: str) -> None:
    if tier not in TIERS:
        pytest.skip(f"this machine has no {tier}")
    assert timing.peak_gflops(tier, 30, dtype) > 0
