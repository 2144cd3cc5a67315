"""Interface of benchmarks: scores of a model, with or without an intervention."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.datasets.config import Split
from fbn_exp.models.language_model import LanguageModel


class Benchmark(ABC):
    """Score a model as it stands, with the hooks that are on it.

    A benchmark is prepared once for a model (texts, prompts, token ids), and may then score it many times.
    """

    @abstractmethod
    def prepare(self, lm: LanguageModel) -> None:
        """Load and tokenise what is needed."""

    @abstractmethod
    def forward_tokens(self) -> int | None:
        """Number of tokens that one scoring passes through the model, None if it is unknown in advance."""

    @abstractmethod
    def score(self, lm: LanguageModel) -> list[Score]:
        """Score the model as it stands."""

    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Cache key: all that determines the scores except the model, as plain json; after ``prepare``."""

    def score_names(self) -> Collection[str] | None:
        """Names ``<task>/<metric>`` that scores can have; None if only scoring tells."""
        return None

    def on(self, part: Split) -> "Benchmark":
        """Copy of the benchmark for another part of its items, not yet prepared.

        Raises
        ------
        BenchmarkError
            If its items are not divided into parts.
        """
        raise BenchmarkError(f"{type(self).__name__.lower()} has no {part.value} part to choose a factor on")

    def name_on_test(self, name: str) -> str:
        """Translate the name of a score on another part to its name on the test part."""
        return name

    def text_digests(self) -> frozenset[str] | None:
        """Digests of the texts that are scored, None if they are unknown."""
        return None
