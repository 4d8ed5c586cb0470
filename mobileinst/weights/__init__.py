"""Weights files: safetensors with the model card in their metadata."""

from .files import (
    BACKBONE_PREFIX,
    DEFAULT_NAME,
    available_weights,
    check_weights,
    find_weights,
    is_whole,
    load_weights,
    required_shapes,
    save_weights,
    widen_int8,
)
from .metadata import FORMAT, SCORE_POWERS, Range, Weights
from .safetensors import WeightsError, read_safetensors, write_safetensors

__all__ = [
    "BACKBONE_PREFIX",
    "DEFAULT_NAME",
    "FORMAT",
    "SCORE_POWERS",
    "Range",
    "Weights",
    "WeightsError",
    "available_weights",
    "check_weights",
    "find_weights",
    "is_whole",
    "load_weights",
    "read_safetensors",
    "required_shapes",
    "save_weights",
    "widen_int8",
    "write_safetensors",
]
