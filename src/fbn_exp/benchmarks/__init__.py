"""Benchmarks: what a model is scored on, one per file."""
