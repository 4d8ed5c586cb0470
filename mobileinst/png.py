"""`mobileinst.io.png` by a shorter name."""

from .io.png import encode_png, write_png

__all__ = ["encode_png", "write_png"]
