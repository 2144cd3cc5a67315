"""Generators of short multiple-choice items, whose prompts are texts and whose choices a benchmark scores."""
