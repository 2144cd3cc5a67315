"""Hydra launcher that gives each job of a sweep an ``accelerate launch`` of its own."""
