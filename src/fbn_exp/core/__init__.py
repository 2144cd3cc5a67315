"""Foundations that everything else stands on: errors, files, locks, ranks, the layout of neurons."""
