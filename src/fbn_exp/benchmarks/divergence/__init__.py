"""Divergence of an edited model from the untouched one on held-out text."""
