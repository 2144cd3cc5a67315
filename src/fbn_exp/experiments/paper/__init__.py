"""The experiments of the paper (arXiv 2502.20408): tables and pictures beside its own numbers."""
