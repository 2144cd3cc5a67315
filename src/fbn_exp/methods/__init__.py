"""Decompositions of signals into networks: ICA and related methods."""
