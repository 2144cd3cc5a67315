"""Reproducibility of networks over starts, resampled texts and null signals."""
