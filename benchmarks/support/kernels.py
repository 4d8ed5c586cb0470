"""Single kernels, timed inside an extension that wheels lack."""

from typing import Any

try:
    from mobileinst import _testing
except ImportError:
    raise ImportError(
        "this benchmark needs mobileinst._testing: pip install . -C cmake.define.MOBILEINST_TESTING=ON"
    ) from None

timing: Any = _testing.timing
