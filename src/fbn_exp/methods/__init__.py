"""Decompositions of signals into networks, one per file."""
