"""Video instance segmentation on CPUs: MobileInst with a native engine.

    >>> from mobileinst import Segmenter  # doctest: +SKIP
    >>> inst = Segmenter().segment(image)  # doctest: +SKIP

Names are imported when they are first used, so that ``mobileinst doctor`` can still speak where the native
extension can't be loaded.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .backbone import Backbone
    from .results import Instances
    from .segmenter import Segmenter
    from .tracking import Tracker, associate_kernels
    from .weights import Weights, WeightsError, available_weights, load_weights

_HOMES = {
    "Backbone": "backbone",
    "Instances": "results",
    "Segmenter": "segmenter",
    "Tracker": "tracking",
    "Weights": "weights",
    "WeightsError": "weights",
    "associate_kernels": "tracking",
    "available_weights": "weights",
    "load_weights": "weights",
}

__all__ = [
    "Backbone",
    "Instances",
    "Segmenter",
    "Tracker",
    "Weights",
    "WeightsError",
    "__version__",
    "associate_kernels",
    "available_weights",
    "load_weights",
]


def _find_extension() -> None:
    """In a checkout, whose folder hides the installed package, take the extension from that one."""
    own = Path(__file__).resolve().parent
    if any(own.glob("_native.*.so")) or any(own.glob("_native*.pyd")):
        return
    for entry in sys.path:
        installed = Path(entry or ".").resolve() / own.name
        if installed != own and any(installed.glob("_native.*.so")):
            __path__.append(str(installed))
            return


_find_extension()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
