"""Time courses of networks over the tokens of a text that somebody types."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import torch

from fbn_exp.analysis.tokens import token_pieces
from fbn_exp.api import record
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.datasets.tokenise import first_tokens
from fbn_exp.interventions.component.base import components_in
from fbn_exp.interventions.component.subtract import Subtract
from fbn_exp.interventions.config import Fill
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.positions import Tokens
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.signals.config import Standardise

# tokens that are read of a text
MOST_TOKENS = 512


@dataclass(frozen=True, eq=False)
class Reading:
    """Time courses of K networks over the T tokens of a text.

    Attributes
    ----------
    pieces : list of str
        Text of each token.
    values : array of shape (T, K)
        Time courses in standard deviations over the tokens that the networks were extracted from.
    skipped : int
        Number of leading tokens that were left out when the networks were extracted.
    whole : bool
        False if the text has more than ``MOST_TOKENS`` tokens.
    """

    pieces: list[str]
    values: Array
    skipped: int = 0
    whole: bool = True

    @cached_property
    def strengths(self) -> Array:
        """Root mean square of each time course over the tokens that count, shape (K,); 0 if none does."""
        counted = self.values[self.skipped :]
        if not len(counted):
            return np.zeros(self.values.shape[1])
        root: Array = np.sqrt((counted**2).mean(axis=0))
        return root


class Reader:
    """Reads texts with the filters of networks, which ``subtract`` reads time courses with, too.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    networks : FunctionalNetworks
        Its networks.

    Raises
    ------
    NetworksError
        If the networks do not say how their signals were standardised.
    """

    def __init__(self, lm: LanguageModel, networks: FunctionalNetworks) -> None:
        self.lm, self.networks = lm, networks
        signals = networks.provenance.get("config", {}).get("signals", {})
        self.skipped = int(signals.get("first_tokens_excluded", 0))
        self.by_norm = signals.get("standardise") == Standardise.row_l2.value
        # signals are centred over their tokens: first ones have a mean of their own where they were left out
        fill = Fill.position_mean if self.skipped else Fill.mean
        subtract = Subtract(fill=fill)
        target = subtract.on(networks).target
        self.edit = subtract.edit_along(components_in(target).patterns, target)

    def read(self, text: str) -> Reading:
        """Read a text; an empty one has no tokens.

        Raises
        ------
        DatasetError
            If the text holds half of a surrogate pair.
        """
        document = Document(text, "typed")
        (ids,) = first_tokens([text], self.lm.tokenizer, MOST_TOKENS + 1) if text else ((),)
        if not ids:
            return Reading([], np.zeros((0, len(self.networks))), self.skipped)
        whole, ids = len(ids) <= MOST_TOKENS, ids[:MOST_TOKENS]
        texts = Texts((TokenisedText(ids, document),))
        signals = record(self.lm, texts, site=self.networks.layout.site.value)
        values = signals.values.cpu()
        courses = self.edit.courses(values, Tokens(torch.arange(len(ids))))
        if self.by_norm:
            courses = courses / torch.linalg.vector_norm(values, dim=1, keepdim=True).clamp_min(1e-30)
        pieces = token_pieces(self.lm.tokenizer, ids)
        return Reading(pieces, courses.double().numpy(), self.skipped, whole)


class Order(StrEnum):
    """What networks are sorted by: their strength in a text, or how much it differs between two."""

    first = "the first text"
    second = "the second text"
    difference = "the difference"


def ordered(first: Reading, second: Reading | None, by: Order) -> list[int]:
    """Networks in descending order; with a single text in that of their strength in it."""
    own = first.strengths
    other = own if second is None else second.strengths
    differing = by is Order.difference and second is not None
    keys = np.abs(own - other) if differing else other if by is Order.second else own
    order: list[int] = np.argsort(-keys, kind="stable").tolist()
    return order
