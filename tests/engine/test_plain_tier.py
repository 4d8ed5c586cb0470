"""The warning of processors that plain C++ has to serve, which no 64-bit one of x86 or ARM is."""

from __future__ import annotations

import pytest

from mobileinst import _native, load_weights
from mobileinst.cli.commands import doctor
from mobileinst.engine import NativeModel, plain_tier_warning


@pytest.mark.parametrize("supported", [["ref", "neon"], ["ref", "sse"], ["ref", "sse", "avx2"]])
def test_processors_with_vectors_are_not_warned_of(supported: list[str]) -> None:
    assert plain_tier_warning(supported) is None


def test_others_are_told_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "supported_tiers", lambda: ["ref"])
    with pytest.warns(RuntimeWarning, match="about 16 times as long as by vectors of four floats"):
        NativeModel(load_weights())
    assert any("about 16 times" in text for _, text in doctor.report())
