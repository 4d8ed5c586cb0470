"""The examples in the documentation of the runtime run as they stand."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["assignment", "draw", "results", "segmenter", "tracking"])
def test_examples(name: str) -> None:
    module = importlib.import_module(f"mobileinst.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
