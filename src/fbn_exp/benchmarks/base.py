"""What every benchmark offers: its cost before it starts, its scores, and a key for the cache."""

from abc import ABC, abstractmethod
from typing import Any

from fbn_exp.models import LanguageModel
from fbn_exp.scores import Score


class Benchmark(ABC):
    """Scores a model; whatever hooks are on it stay on.

    Preparing (texts, prompts, token ids) is done once for a model; scoring may follow many times.
    """

    @abstractmethod
    def prepare(self, lm: LanguageModel) -> None:
        """Load and tokenise what is needed."""

    @abstractmethod
    def forward_tokens(self) -> int | None:
        """Tokens that one scoring passes through the model, None if that cannot be told before."""

    @abstractmethod
    def score(self, lm: LanguageModel) -> list[Score]:
        """Score the model as it stands."""

    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Everything that determines the scores beside the model, as plain json; after ``prepare``."""

    def text_digests(self) -> frozenset[str] | None:
        """Digests of the texts that are scored, None if that cannot be told."""
        return None
