"""Single kernels on NumPy arrays, of any tier, for tests and benchmarks; only in builds that ask for it."""

from typing import Any

kernels: Any  # each function runs one kernel
timing: Any  # times of single kernels, without Python in the loop
xnnpack: Any  # XNNPACK's operators
