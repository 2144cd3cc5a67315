"""A pruned model in numbers, tables, sentences and pictures; curves over a sweep of ratios."""

from fbn_exp.report.pruning.words import present_pruning, pruning_names

__all__ = ["present_pruning", "pruning_names"]
