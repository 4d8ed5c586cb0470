"""Masks at the network's resolution."""
