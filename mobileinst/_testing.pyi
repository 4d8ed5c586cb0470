"""Single native kernels on NumPy arrays, of any tier, for tests and benchmarks; in builds that ask for it."""

from typing import Any

kernels: Any  # each function runs one native kernel
timing: Any  # times of single native kernels, without Python in the loop
xnnpack: Any  # XNNPACK's operators
