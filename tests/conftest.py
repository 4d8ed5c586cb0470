"""What all tests share: which copy of the package is tested, and where the reference data lies."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def _prefer_installed_package() -> None:
    """Move the checkout, where tests and benchmarks lie, to the end of the path if another copy of the
    package is meant: one that PYTHONPATH names, or an installed one since this has no extension module."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    is_built = any((ROOT / "mobileinst").glob("_native*.so"))
    if is_built and not any(Path(entry, "mobileinst").is_dir() for entry in named if entry):
        return
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    sys.path[:] = [*elsewhere, str(ROOT)]


def _register_hypothesis_profiles() -> None:
    try:
        from hypothesis import settings
    except ImportError:
        return
    settings.register_profile("default", deadline=None)
    settings.register_profile("emulated", deadline=None, max_examples=10)
    settings.load_profile("default")


def _hear_interrupts() -> None:
    """Background jobs of a shell ignore Ctrl-C; processes that tests start must not inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_hear_interrupts()
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
def same_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes that the test starts import what the test does, not what happens to lie where they start."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir(tmp_path)
