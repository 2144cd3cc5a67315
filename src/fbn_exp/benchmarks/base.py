"""Interface of benchmarks: scores of a model, with or without an intervention."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from tqdm import tqdm
from typing_extensions import override

from fbn_exp.benchmarks.config import AUTO, SharedBatchesConfig
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.stacked import stacked, stacks
from fbn_exp.models.language_model import LanguageModel

# operations of a forward pass that take an accelerator longer than to start its kernels
BUSY_OPERATIONS = 2.0**43
# edits that share a batch unless more are asked for
MOST_BY_ITSELF = 32


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
        ``edits_together`` can make it depend on the model.
    """

    edits_at_once: ClassVar[int] = 1

    def edits_together(self, lm: LanguageModel) -> int:
        """Largest number of edits that ``score_many`` is called with for a model."""
        return self.edits_at_once

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
            At most ``edits_together`` edits.
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


class SharedBatches(SharedBatchesConfig, Benchmark):
    """Benchmark that can score copies of its rows in one batch, each copy under an edit of its own."""

    def score_copies(self, lm: LanguageModel, copies: int) -> list[list[Score]]:
        """Score the model as it stands on several copies of each batch, one after the other in its rows."""
        raise NotImplementedError(f"{type(self).__name__} scores edits in a way of its own")

    @abstractmethod
    def tokens_of_batch(self) -> int:
        """Number of tokens of a batch of one edit, about."""

    @override
    def score(self, lm: LanguageModel) -> list[Score]:
        (scores,) = self.score_copies(lm, 1)
        return scores

    @override
    def edits_together(self, lm: LanguageModel) -> int:
        return max(self.edits_at_once, self.edits_of_batch(lm))

    def edits_of_batch(self, lm: LanguageModel) -> int:
        """Number of edits that share a batch on a model."""
        if self.edits_per_batch != AUTO:
            return int(self.edits_per_batch)
        if lm.device.type == "cpu":
            return 1
        operations = 2 * lm.model.num_parameters() * self.tokens_of_batch()
        return max(1, min(MOST_BY_ITSELF, int(BUSY_OPERATIONS / operations)))

    @override
    def score_many(
        self, lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Edit], progress: Progress
    ) -> list[list[Score]]:
        scores: list[list[Score]] = [[] for _ in edits]
        for places in stacks(edits, self.edits_of_batch(lm)):
            with applied(lm.model, layout, stacked([edits[place] for place in places])):
                found = [self.score(lm)] if len(places) == 1 else self.score_copies(lm, len(places))
            for place, own in zip(places, found, strict=True):
                scores[place] = own
            progress.advance(len(places))
        return scores
