"""What every benchmark offers: scores of a model that may be intervened on, or measures of its networks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.figure import Figure

from fbn_exp.config.choices import Split
from fbn_exp.errors import BenchmarkError
from fbn_exp.extraction import Recipe
from fbn_exp.models import LanguageModel
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.scores import Score
from fbn_exp.thresholds import Threshold


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


@dataclass(frozen=True, eq=False)
class Recording:
    """How a benchmark records signals of its own: the model untouched, the networks' layout and settings."""

    lm: LanguageModel
    recipe: Recipe
    scratch: Path


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was found about networks.

    Attributes
    ----------
    metrics : dict of str to float
        Flat numbers under stable names.
    tables : dict of str to DataFrame
        By name.
    figures : dict of str to Figure
        By name; drawn, not yet saved.
    title : str
        Of the table on the console.
    rows : DataFrame
        What the console shows, numbers already as text.
    lines : list of str
        The result in words.
    remarks : list of str
        What a reader must know before believing it.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]
    title: str
    rows: pd.DataFrame
    lines: list[str]
    remarks: list[str] = field(default_factory=list)


class NetworkBenchmark(ABC):
    """Measures networks of a model that nothing is done to.

    Attributes
    ----------
    records : bool
        Whether it runs the model; without that, networks from a folder need no model at all.
    """

    records: ClassVar[bool] = True

    def prepare(self, lm: LanguageModel) -> None:  # noqa: B027 - nothing to prepare is a case
        """Load and tokenise what is needed."""

    def text_digests(self) -> frozenset[str]:
        """Digests of the texts that are recorded, after ``prepare``; networks must not come from them."""
        return frozenset()

    @abstractmethod
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Measurement:
        """Measure networks; ``recording`` is None where the benchmark does not record."""
