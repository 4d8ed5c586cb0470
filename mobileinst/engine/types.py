"""Types of values in plans."""

from __future__ import annotations

from typing import Literal

#: Type of a tensor's elements.
DType = Literal["float32", "float16", "int8"]

#: What integers stand for: (scale, zero) of scale * (integer - zero).
Quantisation = tuple[float, int]
