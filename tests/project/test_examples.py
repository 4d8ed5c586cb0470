"""The examples in the documentation of the runtime run as they stand."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator

import pytest

import mobileinst


def _modules() -> Iterator[str]:
    """Modules with examples that are not only shown."""
    for found in pkgutil.walk_packages(mobileinst.__path__, "mobileinst."):
        spec = importlib.util.find_spec(found.name)
        source = spec.loader.get_source(found.name) if spec and hasattr(spec.loader, "get_source") else None
        if any(">>> " in line and "+SKIP" not in line for line in (source or "").splitlines()):
            yield found.name


@pytest.mark.parametrize("name", sorted(_modules()))
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


def test_examples_are_found() -> None:
    assert {"mobileinst.ops.maps", "mobileinst.results", "mobileinst.segmenter"} <= set(_modules())
