"""Packages that only some of what we do needs: they are extras, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, need: str, extra: str) -> Any:
    """A module of a package that an extra brings.

    Args:
        module: its full name.
        need: who needs what, as "videos need PyAV".
        extra: name of the extra.

    Raises:
        ImportError: where it is missing; the message names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{need}: pip install "mobileinst[{extra}]" ({error})') from None


def import_pillow() -> tuple[Any, Any]:
    """Pillow's modules Image and ImageOps; ImportError that names the extra where it is missing."""
    names = "PIL.Image", "PIL.ImageOps"
    image, ops = (import_extra(name, "images need Pillow", "image") for name in names)
    return image, ops
