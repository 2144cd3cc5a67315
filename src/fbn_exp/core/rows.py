"""Rows of signals: the coordinate system of tokens, the counterpart of ``NeuronLayout`` for neurons."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Text and position of the token behind every row of signals; the texts are concatenated.

    Attributes
    ----------
    lengths : sequence of int
        Number of rows of each text; 0 for a text whose tokens were all excluded.
    skipped : int
        Number of leading tokens of each text that have no row.
    labels : sequence of str or None
        Label of each text, None for a text without one; empty if labels are not known.
    """

    lengths: Sequence[int]
    skipped: int = 0
    labels: Sequence[str | None] = ()

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @cached_property
    def offsets(self) -> Indices:
        """First row of each text, followed by the total number of rows, shape (texts + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @cached_property
    def text(self) -> Indices:
        """Index of each row's text, shape (T,)."""
        return np.repeat(np.arange(len(self.lengths)), np.diff(self.offsets))

    @cached_property
    def position(self) -> Indices:
        """Position of each row's token within its text, shape (T,)."""
        return np.arange(len(self)) - self.offsets[self.text] + self.skipped

    @cached_property
    def present(self) -> Indices:
        """Indices of the texts that have rows, in ascending order."""
        return np.flatnonzero(self.lengths)

    @cached_property
    def slices(self) -> list[slice]:
        """Slice of rows of each text in ``present``."""
        return [slice(*self.offsets[text : text + 2].tolist()) for text in self.present]

    def halves(self, least: int, first_position: int = 0) -> list[tuple[slice, slice]]:
        """Rows of the first and second half of every text whose halves have at least ``least`` rows.

        Tokens before ``first_position`` in their text belong to neither half.
        """
        left_out = max(0, first_position - self.skipped)
        starts = [rows.start + left_out for rows in self.slices]
        middles = [(start + rows.stop) // 2 for start, rows in zip(starts, self.slices, strict=True)]
        return [
            (slice(start, middle), slice(middle, rows.stop))
            for start, middle, rows in zip(starts, middles, self.slices, strict=True)
            if middle - start >= least
        ]

    def of_texts(self, chosen: Sequence[int]) -> Indices:
        """Row indices of the chosen texts, concatenated; a text can be chosen several times."""
        parts = [np.arange(*self.offsets[text : text + 2]) for text in chosen]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def subset(self, chosen: Sequence[int]) -> "Rows":
        """Rows of a matrix of the chosen texts only; a text that is chosen twice becomes two texts."""
        labels = [self.labels[text] for text in chosen] if self.labels else ()
        return Rows([self.lengths[text] for text in chosen], self.skipped, labels)
