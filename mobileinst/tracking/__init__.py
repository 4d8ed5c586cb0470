"""Identities from frame to frame: the tracker, its association of kernels, and one-to-one assignment."""

from .tracker import Detections, Track, Tracker, associate_kernels, cosine_similarity

__all__ = ["Detections", "Track", "Tracker", "associate_kernels", "cosine_similarity"]
