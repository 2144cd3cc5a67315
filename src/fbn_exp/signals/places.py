"""Rows of a recording: those of the signals, then first tokens that the signals leave out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fbn_exp.core.rows import Indices, Rows
from fbn_exp.datasets.base import Texts
from fbn_exp.signals.config import SignalsConfig


@dataclass(frozen=True)
class RecordedRows:
    """Rows of a recording.

    First tokens are always recorded, since their statistics are kept apart. Where signals have no row for
    them, they have rows of their own after all others, one per text.

    Attributes
    ----------
    signals : Rows
        Rows of the signals.
    first : Rows
        Rows of first tokens without a row in the signals; none where signals hold them.
    """

    signals: Rows
    first: Rows

    @classmethod
    def of(cls, texts: Texts, config: SignalsConfig) -> "RecordedRows":
        """Rows of texts under the settings of a recording."""
        apart = min(1, config.first_tokens_excluded)
        first = Rows([min(apart, length) for length in texts.lengths])
        return cls(texts.rows(config.first_tokens_excluded), first)

    def __len__(self) -> int:
        return len(self.signals) + len(self.first)

    def of_texts(self, chosen: Sequence[int]) -> Indices:
        """Row indices of the chosen texts, in the order of a recording of these texts alone."""
        return np.concatenate(
            [self.signals.of_texts(chosen), len(self.signals) + self.first.of_texts(chosen)]
        )

    def in_batch(self, chosen: Sequence[int], longest: int) -> Indices:
        """Places of the same tokens in a flattened batch, padded on the right to ``longest`` tokens."""
        parts = [rows.subset(chosen) for rows in (self.signals, self.first)]
        return np.concatenate([rows.text * longest + rows.position for rows in parts])
