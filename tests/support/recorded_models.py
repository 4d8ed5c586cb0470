"""Small models whose outputs, computed by the PyTorch interpreter, are kept in `golden/recorded.npz`.

They let the native engine be checked where PyTorch is not to be had: under emulation, on small boards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mobileinst.network.config import ModelConfig
from tests.support import ROOT

PATH = ROOT / "tests" / "golden" / "recorded.npz"


class Case(NamedTuple):
    """A configuration and the size of its input."""

    config: ModelConfig
    height: int
    width: int


def small(backbone: str, **options: Any) -> ModelConfig:
    """A configuration whose decoders are small."""
    return ModelConfig(
        backbone, width=48, classes=5, queries=10, hidden=64, ffn=96, heads=4, kernel_dim=24, **options
    )


#: Sizes that stride 64 does and does not divide, odd ones too.
CASES = {
    "mobilenetv2_128x192": Case(small("mobilenetv2"), 128, 192),
    "topformer_t_96x160": Case(small("topformer_t"), 96, 160),
    "seaformer_t_75x140": Case(small("seaformer_t"), 75, 140),
    "topformer_t_sim_101x133": Case(small("topformer_t", use_sim=True), 101, 133),
}
