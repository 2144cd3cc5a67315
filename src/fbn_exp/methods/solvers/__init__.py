"""Solvers of independent component analysis, their contrasts, and the search over random starts."""
