"""Options of the config group ``signals``."""

from dataclasses import dataclass
from enum import StrEnum


class Standardise(StrEnum):
    """What is done to recorded signals before decomposition."""

    none = "none"
    zscore = "zscore"
    row_l2 = "row_l2"


class Storage(StrEnum):
    """Where recorded signals are kept; ``auto`` takes the first of the others that has room."""

    auto = "auto"
    accelerator = "accelerator"
    memory = "memory"
    disk = "disk"


@dataclass
class SignalsConfig:
    """How activations become signals.

    Attributes
    ----------
    first_tokens_excluded : int
        Tokens at the start of each text that are left out: attention sinks sit there.
    standardise : Standardise
        ``zscore`` gives every neuron mean 0 and variance 1 over tokens, ``row_l2`` every token norm 1.
    batch_tokens : int
        Tokens of a batch while recording, padding included.
    storage : Storage
        Where signals are kept: ``accelerator`` (beside the model), ``memory`` (up to the budget), ``disk`` (a
        mapped file in the run's folder); ``auto`` takes the first of these that has room.
    memory_budget_gb : float
        Largest signals that ``auto`` keeps in memory.
    """

    first_tokens_excluded: int = 0
    standardise: Standardise = Standardise.none
    batch_tokens: int = 2048
    storage: Storage = Storage.auto
    memory_budget_gb: float = 4.0
