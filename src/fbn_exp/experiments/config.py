"""Experiments of the paper that a sweep can repeat."""

from enum import StrEnum


class PaperTable(StrEnum):
    """Experiment of the paper that a sweep repeats; its table is written when the sweep ends."""

    consistency = "consistency"
    lesion = "lesion"
    lesion_single = "lesion_single"
    preservation = "preservation"
    amplification = "amplification"
    generation = "generation"
