"""Interface of benchmarks: scores of a model, with or without an intervention."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from tqdm import tqdm

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.models.language_model import LanguageModel


class Progress:
    """Progress over many scorings: a bar on the rank that made it, silent on ranks that it is sent to."""

    def __init__(self, bar: "tqdm[Any] | None" = None) -> None:
        self.bar = bar

    def advance(self, amount: float) -> None:
        """Count a number of scorings, or a fraction of one."""
        if self.bar is not None:
            self.bar.update(amount)

    def __reduce__(self) -> tuple[type["Progress"], tuple[()]]:
        return Progress, ()


class Benchmark(ABC):
    """Score a model as it stands, with the hooks that are on it.

    A benchmark is prepared once for a model (texts, prompts, token ids), and may then score it many times.

    Attributes
    ----------
    edits_at_once : int
        Largest number of edits that ``score_many`` is called with; more than 1 where they can share work.
    """

    edits_at_once: ClassVar[int] = 1

    @abstractmethod
    def prepare(self, lm: LanguageModel) -> None:
        """Load and tokenise what is needed."""

    @abstractmethod
    def forward_tokens(self) -> int | None:
        """Number of tokens that one scoring passes through the model, None if it is unknown in advance."""

    @abstractmethod
    def score(self, lm: LanguageModel) -> list[Score]:
        """Score the model as it stands."""

    def score_many(
        self, lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Edit], progress: Progress
    ) -> list[list[Score]]:
        """Score a model under each of several edits; the model has no edit on it when this is called.

        Where there are several ranks, each of them calls this, and scores its share of the items.

        Parameters
        ----------
        lm : LanguageModel
            The model.
        layout : NeuronLayout
            Layout of the neurons that the edits change.
        edits : sequence of Edit
            At most ``edits_at_once`` edits.
        progress : Progress
            To be advanced by the number of edits altogether.
        """
        scores = []
        for edit in edits:
            with applied(lm.model, layout, edit):
                scores.append(self.score(lm))
            progress.advance(1)
        return scores

    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Cache key: all that determines the scores except the model, as plain json; after ``prepare``."""

    def score_names(self) -> Collection[str] | None:
        """Names ``<task>/<metric>`` that scores can have; None if only scoring tells."""
        return None

    def remarks(self) -> list[str]:
        """What a reader of the scores should know; after scoring."""
        return []

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
