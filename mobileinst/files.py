"""`mobileinst.io.files` by a shorter name."""

from .io.files import Output, check_outputs, check_writable

__all__ = ["Output", "check_outputs", "check_writable"]
