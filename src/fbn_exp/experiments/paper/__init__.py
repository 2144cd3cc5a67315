"""Experiments of the paper (arXiv 2502.20408): tables and figures beside the published numbers."""
