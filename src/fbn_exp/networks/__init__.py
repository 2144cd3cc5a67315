"""Functional networks: maps over neurons, their masks, on disk and in the cache."""
