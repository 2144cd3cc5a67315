"""Functional-network fingerprint: likeness of the networks of two models over the same texts."""
