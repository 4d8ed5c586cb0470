"""Comparisons with other engines, rooflines, studies: ``python -m benchmarks.peers``, see README.md."""
