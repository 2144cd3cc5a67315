"""Activations of the untouched model at some tokens: what an edit takes away, and what others can lend."""
