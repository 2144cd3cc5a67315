"""Pruning of hidden MLP neurons: which ones, by what criterion, and the smaller checkpoint that is left."""
