"""The warning of processors that plain C++ has to serve."""

from __future__ import annotations

import pytest

from mobileinst import _native, load_weights
from mobileinst.cli.commands import doctor
from mobileinst.engine import NativeModel, plain_tier_warning


@pytest.mark.parametrize("supported", [["ref", "neon"], ["ref", "avx2"], ["ref", "avx2", "avx512"]])
def test_processors_with_vectors_are_not_warned_of(supported: list[str]) -> None:
    assert plain_tier_warning(supported) is None


def test_others_are_told_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "supported_tiers", lambda: ["ref"])
    with pytest.warns(RuntimeWarning, match="about 50 times as long as with AVX2"):
        NativeModel(load_weights())
    assert any("about 50 times" in text for _, text in doctor.report())
