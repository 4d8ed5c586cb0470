"""What all tests share: which copy of the package is tested, and where the reference data lies."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _prefer_installed_package() -> None:
    """`python -m pytest` puts the checkout first on the path, where the package has no extension module."""
    if any((ROOT / "mobileinst").glob("_native*.so")):
        return
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if Path(entry or ".").resolve() != ROOT]
    if importlib.util.find_spec("mobileinst") is None:
        sys.path[:] = path


def _register_hypothesis_profiles() -> None:
    try:
        from hypothesis import settings
    except ImportError:
        return
    settings.register_profile("default", deadline=None)
    settings.register_profile("emulated", deadline=None, max_examples=10)
    settings.load_profile("default")


_prefer_installed_package()
_register_hypothesis_profiles()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference outputs and real data; tests that need it are skipped where it is missing."""
    path = Path(os.environ.get("MOBILEINST_SHARED", ROOT.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no reference data: {path} is not a folder (set MOBILEINST_SHARED)")
    return path


@pytest.fixture
def load_benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of the benchmarks as its scripts do; processes they start use the same package."""
    import mobileinst

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("PYTHONPATH", str(Path(mobileinst.__file__).resolve().parent.parent))
    return importlib.import_module
