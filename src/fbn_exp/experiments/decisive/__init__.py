"""Experiments that decide between explanations, by rules that are written before the run."""
