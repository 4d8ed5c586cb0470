"""Write the hashes of the tier in use to bits.json: MOBILEINST_TIER=sse python -m tests.golden.make_bits

Tiers of ARM on an emulated core, as `.ci/aarch64` runs its tests.
"""

from __future__ import annotations

import json

from mobileinst import _native
from tests.support.bits import BIT_CASES, PATH, SAME, output_bits, recorded_bits

if __name__ == "__main__":
    tier = _native.tier()
    bits = recorded_bits() if PATH.exists() else {}
    bits[SAME.get(tier, tier)] = {name: output_bits(case) for name, case in BIT_CASES.items()}
    PATH.write_text(json.dumps(bits, indent=1, sort_keys=True) + "\n", encoding="utf-8")
