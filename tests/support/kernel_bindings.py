"""`mobileinst._testing`, which wheels lack: without it tests that import this skip, but fail in CI."""

from __future__ import annotations

import os

import pytest

try:
    from mobileinst import _testing
except ImportError:
    if os.environ.get("CI"):
        raise
    reason = "needs mobileinst._testing: pip install . -C cmake.define.MOBILEINST_TESTING=ON"
    pytest.skip(reason, allow_module_level=True)

kernels, timing, xnnpack = _testing.kernels, _testing.timing, _testing.xnnpack
