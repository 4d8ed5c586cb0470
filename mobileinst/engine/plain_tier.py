"""What it costs that a processor has no instruction set with kernels of its own."""

from __future__ import annotations

from collections.abc import Sequence

#: How many times as long `ref` takes as `sse`, whose vectors are as wide as NEON's (docs/engine.md: Tiers).
TIMES_FOUR_FLOATS = 16


def plain_tier_warning(supported: Sequence[str]) -> str | None:
    """A line where plain C++ is all that is supported; else None."""
    if list(supported) != ["ref"]:
        return None
    return (
        "there are no kernels for this processor's instruction set, so plain C++ computes everything: "
        f"a frame takes about {TIMES_FOUR_FLOATS} times as long as by vectors of four floats"
    )
