"""Decompositions of signals into networks: ICA and relatives."""
