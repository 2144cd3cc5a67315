"""What every benchmark offers: scores of a model that may be intervened on, or measures of its networks."""

from abc import ABC, abstractmethod
from typing import Any

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.datasets.config import Split
from fbn_exp.models.language_model import LanguageModel


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

    def on(self, part: Split) -> "Benchmark":
        """The same benchmark on another part of its items, not yet prepared.

        Raises
        ------
        BenchmarkError
            If its items are not divided into parts.
        """
        raise BenchmarkError(f"{type(self).__name__.lower()} has no {part.value} part to choose a factor on")

    def name_on_test(self, name: str) -> str:
        """Name on the test part of a score that another part calls ``name``."""
        return name

    def text_digests(self) -> frozenset[str] | None:
        """Digests of the texts that are scored, None if that cannot be told."""
        return None
