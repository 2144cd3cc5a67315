"""Hydra launcher that starts each job of a sweep by a separate ``accelerate launch``."""
