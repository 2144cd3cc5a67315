"""Edits whose choices are scored in the same batches, and asked for one edit after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.stacked import stacked

Answer = tuple[float, bool]
"""Log-likelihood of a continuation, and whether it is the most likely one."""


class Riders:
    """Edits that share batches; none of them is on the model but within the contexts of this class.

    Parameters
    ----------
    model : nn.Module
        The model.
    layout : NeuronLayout
        Layout of the neurons that the edits change.
    edits : sequence of Edit
        The edits.

    Attributes
    ----------
    turn : int
        Place of the edit that is asked for.
    """

    def __init__(self, model: nn.Module, layout: NeuronLayout, edits: Sequence[Edit]) -> None:
        self.model, self.layout, self.edits = model, layout, edits
        self.turn = 0
        self._known: list[tuple[list[Any], list[list[Answer]]]] = []

    def __len__(self) -> int:
        return len(self.edits)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Apply the edit whose turn it is."""
        with applied(self.model, self.layout, self.edits[self.turn]):
            yield

    @contextmanager
    def together(self) -> Iterator[None]:
        """Apply all edits to batches that hold a copy of their rows for each edit, one after the other."""
        with applied(self.model, self.layout, stacked(self.edits)):
            yield

    @contextmanager
    def turn_of(self, place: int) -> Iterator[None]:
        """Make it the turn of another edit while the context is open."""
        kept, self.turn = self.turn, place
        try:
            yield
        finally:
            self.turn = kept

    def known(self, requests: Sequence[Any]) -> list[Answer] | None:
        """Answers under the edit whose turn it is, None if the requests are new."""
        for asked, answers in self._known:
            if asked == list(requests):
                return answers[self.turn]
        return None

    def keep(self, requests: Sequence[Any], answers: Sequence[Answer]) -> None:
        """Keep the answers to requests, those under the first edit first."""
        size = len(requests)
        parts = [list(answers[size * place : size * (place + 1)]) for place in range(len(self))]
        self._known.append((list(requests), parts))
