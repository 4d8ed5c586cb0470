"""`mobileinst doctor`: what this installation has; it works where the extension can't be loaded."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import mobileinst

from .. import hardware
from ..hardware import ROOT
from ..installation import EXTRAS, checksum, extra, program, this_system, wheel_tag
from ..status import FAILED, say

if TYPE_CHECKING:
    from ...weights import Weights

#: Whether something is in order, and a line about it.
Finding = tuple[bool, str]

HELP = "say what this installation has and what it lacks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: it looks at everything."""


def run(options: argparse.Namespace) -> int:
    good = True
    for fine, line in report():
        good = good and fine
        say(f"{'ok     ' if fine else 'PROBLEM'}  {line}")
    return 0 if good else FAILED


def report(root: Path = ROOT) -> Iterator[Finding]:
    """Findings, each with whether it is in order; `root` is where ``proc``, ``sys`` and ``etc`` are.

    A part that fails is a finding, too: the rest is still told.
    """
    parts: tuple[Callable[[Path], Iterable[Finding]], ...] = (
        _installed,
        _machine,
        _native_report,
        _weights_report,
        _extras,
    )
    for part in parts:
        try:
            for fine, text in part(root):
                yield fine, _one_line(text)
        except Exception as error:  # whatever goes wrong here is the finding
            name = part.__name__.strip("_").removesuffix("_report")
            yield False, _one_line(f"{name}: can't be told: {type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    """The first and the last line of a text: NumPy gives twenty of advice, and the reason in the last."""
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalnum, line))]
    return text if len(lines) < 2 else f"{lines[0]} ... {lines[-1]}"


def _installed(root: Path) -> Iterator[Finding]:
    import numpy as np

    yield True, f"mobileinst {mobileinst.__version__} in {os.path.dirname(mobileinst.__file__)}"
    yield True, f"wheel: {wheel_tag()}"
    yield True, f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    yield True, f"NumPy {np.__version__}"


def _machine(root: Path) -> Iterator[Finding]:
    """The board, its processor, what of it this process may use, and how it fares."""
    name = hardware.board(root)
    if name:
        yield True, f"board: {name}"
    yield _processors(root)
    heat = hardware.temperature(root)
    if heat is not None:
        yield True, f"temperature: {heat[0]:.1f} °C ({heat[1]})"
    slowed = hardware.throttling(root)
    if slowed is not None:
        yield _throttling(*slowed)


def _throttling(present: list[str], past: list[str]) -> Finding:
    text = f"throttling: {', '.join(present)}" if present else "throttling: none at present"
    if present:
        text += "; a better power supply or cooling makes it faster"
    if past:
        text += f" (since the start: {', '.join(past)})"
    return not present, text


def _native_report(root: Path) -> Iterator[Finding]:
    try:
        native = importlib.import_module("mobileinst._native")
    except ImportError as error:
        yield (
            False,
            f"native extension: can't be loaded ({error}); reinstall: pip install --force-reinstall .",
        )
        return
    from ...engine import plain_tier_warning

    try:
        tier = native.tier()
    except ValueError as error:
        yield False, f"instruction set: {error}"
        tier = None
    supported = ", ".join(native.supported_tiers())
    if tier is not None:
        chosen = ", set by MOBILEINST_TIER" if os.environ.get("MOBILEINST_TIER") else ""
        yield True, f"instruction set: {tier}{chosen} (available: {supported})"
    if slow := plain_tier_warning(native.supported_tiers()):
        yield True, slow
    detected = hardware.detected_features(root) or tuple(native.cpu_features())
    yield True, f"CPU features detected: {' '.join(detected) or 'none'}"
    if tier is not None:
        yield True, f"CPU features used: {' '.join(native.tier_features(tier)) or 'none'}"
    if tier is not None:
        yield _backend(native, tier)
        yield _precision(tier)


def _precision(tier: str) -> Finding:
    from ...engine import offered_precisions
    from ...engine.precision import DEFAULT_PRECISION, PRECISIONS

    offered = ", ".join(offered_precisions(tier))
    wanted = os.environ.get("MOBILEINST_PRECISION")
    if wanted and wanted not in PRECISIONS:
        return False, f"precision: MOBILEINST_PRECISION={wanted}, expected one of {', '.join(PRECISIONS)}"
    chosen = f"{wanted}, set by MOBILEINST_PRECISION" if wanted else DEFAULT_PRECISION
    return True, f"precision: {chosen} (available: {offered}; int8 also needs weights with ranges)"


def _backend(native: ModuleType, tier: str) -> Finding:
    from ...engine import active_backend

    try:
        backend = active_backend(tier)
    except ValueError as error:
        return False, f"convolutions: {error}"
    if not native.has_xnnpack():
        return True, "convolutions: native kernels (XNNPACK is not in this build, or can't run here)"
    if backend.name == "native":
        return True, "convolutions: native kernels (MOBILEINST_BACKEND=xnnpack or auto takes XNNPACK's)"
    if backend.name == "xnnpack":
        return True, "convolutions: XNNPACK's where it has them, set by MOBILEINST_BACKEND"
    if not backend.times:
        return True, f"convolutions: native kernels (MOBILEINST_BACKEND=auto, but {tier} was not measured)"
    count = sum(map(backend.takes_xnnpack, backend.times))
    return True, (
        f"convolutions: XNNPACK's for {count} of the {len(backend.times)} layers measured on {tier}, else "
        "ours, set by MOBILEINST_BACKEND"
    )


def _weights_report(root: Path) -> Iterator[Finding]:
    try:
        from ...weights import DEFAULT_NAME, WeightsError, available_weights, find_weights, load_weights
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
            yield _checksum(name, find_weights(name))
            yield _trial(weights)


def _trial(weights: Weights) -> Finding:
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


def _checksum(name: str, path: Path) -> Finding:
    found, recorded = checksum(path)
    text = f"weights {name}: SHA-256 {found}"
    if recorded is None:
        return True, f"{text} (no record to compare it with)"
    if found != recorded:
        return False, f"{text}, but {recorded} was installed; pip install --force-reinstall mobileinst"
    return True, f"{text}, as installed"


def _extras(root: Path) -> Iterator[Finding]:
    system = this_system(root)
    for one in EXTRAS:
        yield True, extra(*one, system)
    yield True, program("ffmpeg", "ffmpeg", "videos where PyAV is missing", system)
    if "raspberry pi" in hardware.board(root).lower():
        yield True, program("rpicam-vid", "rpicam-apps", "the Raspberry Pi's camera", system)


def _processors(root: Path) -> Finding:
    """The processor, what of it this process may use, and how many threads that makes on which cores."""
    names = hardware.core_names(root)
    cpu = hardware.core_kinds(names.values()) or hardware.processor_name(root)
    try:
        from ...engine import processors
    except ImportError:  # without the extension, of which the next line tells
        return True, f"CPU: {cpu}"
    # Of a machine that is only described all cores count.
    allowed = processors.allowed_cores() if root == ROOT else sorted(names) or [0]
    usable = processors.usable_processors(root, allowed)
    text = f"CPU: {cpu}, {len(usable.speeds)} cores for this process"
    if usable.differ:
        text += f" (speeds {', '.join(f'{speed:.2f}' for speed in usable.speeds)})"
    if usable.quota is not None:
        text += f", quota of {usable.quota:g} processors"
    try:
        threads = processors.default_threads(usable)
    except ValueError as error:
        return False, f"{text}; {error}"
    chosen = ", set by MOBILEINST_THREADS" if os.environ.get("MOBILEINST_THREADS", "").strip() else ""
    text += f"; threads: {threads}{chosen}"
    if usable.differ:
        speeds = processors.core_speeds(root, allowed)
        fastest = sorted(speeds, key=lambda index: -speeds[index])[:threads]
        text += f", for {hardware.core_kinds(names.get(index, 'core') for index in fastest)}"
    return True, text
