"""Identities from frame to frame: the tracker, its association of kernels, and one-to-one assignment."""

from .association import (
    Association,
    Detections,
    Keyframe,
    associate_kernels,
    cosine_similarity,
    eligible,
    kernel_association,
    pair,
    similarity,
)
from .tracker import Track, Tracker

__all__ = [
    "Association",
    "Detections",
    "Keyframe",
    "Track",
    "Tracker",
    "associate_kernels",
    "cosine_similarity",
    "eligible",
    "kernel_association",
    "pair",
    "similarity",
]
