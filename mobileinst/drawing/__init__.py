"""Instances drawn on frames."""
