"""Hashes of what small networks compute in float32, which `golden/bits.json` keeps by tier.

They hold for every compiler and processor: weights and inputs are the same bits everywhere, and no compiler
may contract products and sums (`-ffp-contract=off`).
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from mobileinst.engine import NativeModel
from tests.support import ROOT
from tests.support.networks import random_model, run_model
from tests.support.recorded_models import CASES, Case, small

PATH = ROOT / "tests" / "golden" / "bits.json"

BIT_CASES = {**CASES, "yolox_nano_97x150": Case(small("yolox_nano", kinds=(2, 1, 3, 1, 1)), 97, 150)}

#: Tiers whose float32 kernels give the same bits as another's.
SAME = {
    **dict.fromkeys(("avx2_vnni", "avx512", "avx512_vnni"), "avx2"),
    **dict.fromkeys(("neon_fp16", "neon_dot"), "neon"),
}


def recorded_bits() -> dict[str, dict[str, str]]:
    """Hashes by tier and case."""
    bits: dict[str, dict[str, str]] = json.loads(PATH.read_text(encoding="utf-8"))
    return bits


def output_bits(case: Case) -> str:
    """The hash of all outputs of a case, by the tier in use."""
    # Whole numbers by a power of two; sines, say, differ in their last bits from machine to machine.
    whole = np.random.default_rng(0).integers(-512, 512, (3, case.height, case.width))
    model = NativeModel(random_model(case.config), threads=1, precision="fp32")
    digest = hashlib.sha256()
    for output in run_model(model, whole.astype(np.float32) / 256).values():
        digest.update(np.ascontiguousarray(output, "<f4").tobytes())
    return digest.hexdigest()[:16]
