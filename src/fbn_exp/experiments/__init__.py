"""Replications of published experiments."""
