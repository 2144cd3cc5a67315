"""Options of the config group ``signals``."""

from dataclasses import dataclass
from enum import StrEnum

from fbn_exp.core.checks import require_choice, require_count, require_positive


class Standardise(StrEnum):
    """Standardisation of recorded signals before decomposition."""

    none = "none"
    zscore = "zscore"
    row_l2 = "row_l2"


class Storage(StrEnum):
    """Storage of recorded signals; ``auto`` takes the first of the others that has room."""

    auto = "auto"
    accelerator = "accelerator"
    memory = "memory"
    disk = "disk"


@dataclass
class SignalsConfig:
    """Recording of activations as signals.

    Attributes
    ----------
    first_tokens_excluded : int
        Number of leading tokens of each text to exclude, since they can be attention sinks.
    standardise : Standardise
        ``zscore`` gives every neuron mean 0 and variance 1 over tokens, ``row_l2`` every token norm 1.
    batch_tokens : int
        Largest number of tokens in a batch while recording, padding included.
    storage : Storage
        Storage of the signals: ``accelerator`` (beside the model), ``memory`` (up to the budget), ``disk`` (a
        mapped file in the run's folder); ``auto`` takes the first of these that has room.
    memory_budget_gb : float
        Largest size of signals that ``auto`` keeps in memory, in GiB.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    first_tokens_excluded: int = 0
    standardise: Standardise = Standardise.none
    batch_tokens: int = 2048
    storage: Storage = Storage.auto
    memory_budget_gb: float = 4.0

    def __post_init__(self) -> None:
        require_count("signals.first_tokens_excluded", self.first_tokens_excluded, 0)
        self.standardise = require_choice(Standardise, "signals.standardise", self.standardise)
        require_count("signals.batch_tokens", self.batch_tokens)
        self.storage = require_choice(Storage, "signals.storage", self.storage)
        require_positive("signals.memory_budget_gb", self.memory_budget_gb)
