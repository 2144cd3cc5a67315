"""Signals: the activation of every neuron at every token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.moments import NeuronStatistics, RowNorms, StatisticsByToken
from fbn_exp.core.rows import Rows
from fbn_exp.datasets.base import Texts
from fbn_exp.signals.config import SignalsConfig


@dataclass(frozen=True, eq=False, repr=False)
class Signals:
    """The activation of every neuron at every token.

    Attributes
    ----------
    values : Tensor of shape (T, N), float32
        Row t is a token, in the order of the texts; standardised if requested. In memory, on the model's
        device, or mapped from a file.
    layout : NeuronLayout
        Order of the columns.
    texts : Texts
        The texts that were recorded.
    first_tokens_excluded : int
        Number of leading tokens of each text that have no row.
    neurons : NeuronStatistics
        Mean, standard deviation and mean absolute value of the raw activations, over the rows.
    row_norms : RowNorms
        Norms of the raw rows, with the share of the energy in outlier tokens.
    tokens_per_second : float
        Throughput of the recording, padding not counted.
    model : mapping
        Name, revision, digest of the weights, and number format of the model, for provenance.
    config : SignalsConfig
        Settings of the recording.
    statistics : StatisticsByToken, optional
        Statistics of the raw activations at first tokens, also where these have no row, and at the other
        tokens that have a row.

    Examples
    --------
    >>> signals = fbn.record(lm, texts, standardise="zscore", skip_first=1)
    >>> signals.values.shape
    """

    values: Tensor
    layout: NeuronLayout
    texts: Texts
    first_tokens_excluded: int
    neurons: NeuronStatistics
    row_norms: RowNorms
    tokens_per_second: float
    model: Mapping[str, Any] = field(default_factory=dict)
    config: SignalsConfig = field(default_factory=SignalsConfig)
    statistics: StatisticsByToken | None = None

    def __repr__(self) -> str:
        tokens, neurons = self.values.shape
        name = self.model.get("model", "a model")
        return f"Signals({tokens:,} tokens × {neurons:,} neurons of {name}, {self.layout.site.value})"

    @cached_property
    def rows(self) -> Rows:
        """Text and position of the token of every row."""
        return self.texts.rows(self.first_tokens_excluded)
