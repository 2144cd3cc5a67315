"""Foundations of every other package: errors, files, locks, ranks, the layout of neurons, rows of tokens."""
