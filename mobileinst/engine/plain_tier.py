"""What it costs that a processor has no instruction set with kernels of its own."""

from __future__ import annotations

from collections.abc import Sequence

#: How many times as long `ref` takes as `avx2` for a frame (docs/engine.md: Tiers).
TIMES_AVX2 = 50


def plain_tier_warning(supported: Sequence[str]) -> str | None:
    """A line where plain C++ is all that is supported; else None."""
    if list(supported) != ["ref"]:
        return None
    return (
        "this processor has neither AVX2 nor 64-bit NEON, so plain C++ computes everything: "
        f"a frame takes about {TIMES_AVX2} times as long as with AVX2"
    )
