"""`mobileinst doctor`: what this installation has; it works where the extension can't be loaded."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

import mobileinst

from ..status import FAILED

if TYPE_CHECKING:
    from ...weights import Weights

#: (extra, package to install, module to import, what it is for)
_EXTRAS = (
    ("video", "av", "av", "videos and cameras"),
    ("image", "pillow", "PIL", "images and folders of them"),
    ("demo", "scikit-image", "skimage", "photographs of the demo"),
    ("eval", "pycocotools", "pycocotools", "evaluation on COCO"),
    ("train", "torch", "torch", "training and conversion"),
)


HELP = "say what this installation has and what it lacks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: it looks at everything."""


def run(options: argparse.Namespace) -> int:
    good = True
    for fine, line in report():
        good = good and fine
        print(f"{'ok     ' if fine else 'PROBLEM'}  {line}")
    return 0 if good else FAILED


def report() -> Iterator[tuple[bool, str]]:
    """Findings, each with whether it is in order."""
    import numpy as np

    yield True, f"mobileinst {mobileinst.__version__} in {os.path.dirname(mobileinst.__file__)}"
    yield True, f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    yield True, f"NumPy {np.__version__}"
    yield _processors()
    yield from _native_report()
    yield from _weights_report()
    for extra, package, module, purpose in _EXTRAS:
        yield True, _extra(extra, package, module, purpose)


def _native_report() -> Iterator[tuple[bool, str]]:
    try:
        native = importlib.import_module("mobileinst._native")
    except ImportError as error:
        yield (
            False,
            f"native extension: can't be loaded ({error}); reinstall: pip install --force-reinstall .",
        )
        return
    try:
        tier = native.tier()
    except ValueError as error:
        yield False, f"instruction set: {error}"
        tier = None
    supported = ", ".join(native.supported_tiers())
    if tier is not None:
        chosen = ", set by MOBILEINST_TIER" if os.environ.get("MOBILEINST_TIER") else ""
        yield True, f"instruction set: {tier}{chosen} (available: {supported})"
    yield True, f"CPU features used: {', '.join(native.cpu_features()) or 'none'}"
    if tier is not None:
        yield _backend(native, tier)


def _backend(native: ModuleType, tier: str) -> tuple[bool, str]:
    from ...engine import active_backend

    try:
        backend = active_backend(tier)
    except ValueError as error:
        return False, f"convolutions: {error}"
    if not native.has_xnnpack():
        return True, "convolutions: our own kernels (XNNPACK is not in this build, or can't run here)"
    if backend.name == "native":
        return True, "convolutions: our own kernels (MOBILEINST_BACKEND=xnnpack or auto takes XNNPACK's)"
    if backend.name == "xnnpack":
        return True, "convolutions: XNNPACK's where it has them, set by MOBILEINST_BACKEND"
    if not backend.times:
        return True, f"convolutions: our own kernels (MOBILEINST_BACKEND=auto, but {tier} was not measured)"
    count = sum(map(backend.takes_xnnpack, backend.times))
    return True, (
        f"convolutions: XNNPACK's for {count} of the {len(backend.times)} layers measured on {tier}, else "
        "ours, set by MOBILEINST_BACKEND"
    )


def _weights_report() -> Iterator[tuple[bool, str]]:
    try:
        from ...weights import DEFAULT_NAME, WeightsError, available_weights, load_weights
    except ImportError as error:
        yield False, f"weights: the package is incomplete ({error})"
        return
    names = available_weights()
    if DEFAULT_NAME not in names:
        yield False, f"default weights: missing (present: {', '.join(names) or 'none'})"
    for name in names:
        try:
            weights = load_weights(name)
        except WeightsError as error:
            yield False, f"weights {name}: {error}"
        else:
            yield True, f"weights {name}: {weights.config.backbone}, classes {', '.join(weights.classes)}"
            yield _trial(weights)


def _trial(weights: Weights) -> tuple[bool, str]:
    """One small frame through the whole engine."""
    try:
        import numpy as np

        from ...segmenter import Segmenter

        segmenter = Segmenter(weights, size=64)
        start = time.perf_counter()
        segmenter.segment(np.full((64, 64, 3), 128, np.uint8))
    except Exception as error:  # whatever goes wrong here is the finding
        return False, f"engine: fails on a frame of 64x64: {type(error).__name__}: {error}"
    return True, f"engine: works, {1000 * (time.perf_counter() - start):.1f} ms for a frame of 64x64"


def _extra(extra: str, package: str, module: str, purpose: str) -> str:
    try:
        version = metadata.version(package)
        if extra != "train":
            importlib.import_module(module)
    except metadata.PackageNotFoundError:
        return f'{package}: not installed ({purpose}); pip install "mobileinst[{extra}]"'
    except Exception as error:  # whatever a broken installation raises is the finding
        return f"{package} {version}: can't be imported ({purpose}): {error}"
    return f"{package} {version} ({purpose})"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            facts = [[part.strip() for part in line.split(":", 1)] for line in file if ":" in line]
    except OSError:
        facts = []
    for key, value in facts:
        if key.lower() in ("model name", "hardware", "model") and value and not value.isdigit():
            return f"{value} ({platform.machine()})"
    return platform.processor() or platform.machine()


def _processors() -> tuple[bool, str]:
    """The processor, what of it this process may use, and how many threads that makes."""
    try:
        from mobileinst.engine.processors import default_threads, usable_processors
    except ImportError:  # without the extension, of which the next line tells
        return True, f"CPU: {_cpu_name()}"
    usable = usable_processors()
    text = f"CPU: {_cpu_name()}, {len(usable.speeds)} cores for this process"
    if usable.differ:
        text += f" (speeds {', '.join(f'{speed:.2f}' for speed in usable.speeds)})"
    if usable.quota is not None:
        text += f", quota of {usable.quota:g} processors"
    try:
        threads = default_threads()
    except ValueError as error:
        return False, f"{text}; {error}"
    chosen = ", set by MOBILEINST_THREADS" if os.environ.get("MOBILEINST_THREADS", "").strip() else ""
    return True, f"{text}; threads: {threads}{chosen}"
