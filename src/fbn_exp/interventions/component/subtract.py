"""Subtraction: the time course of a network times its map is subtracted, in a second pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.component.base import ComponentEdit, ComponentIntervention, components_in
from fbn_exp.interventions.component.config import SubtractConfig
from fbn_exp.interventions.component.first_pass import body_of, first_pass, in_first_pass
from fbn_exp.interventions.edit import Edit
from fbn_exp.interventions.target import Target
from fbn_exp.models.positions import Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class SubtractEdit(ComponentEdit):
    """Subtract (1 − factor) · time course · map of networks, by an untouched pass over the same tokens.

    The course of a network at a token is the coefficient of its map when the activations of all blocks, less
    the centre, are fitted by all maps together.

    Attributes
    ----------
    filters : Tensor of shape (k, N)
        Weights that read the courses; see ``Components.filters``.
    """

    filters: Tensor

    @override
    def _hashed(self) -> Sequence[Tensor]:
        return *super()._hashed(), self.filters

    @property
    @override
    def unfoldable(self) -> str:
        return SubtractConfig().never_in_weights

    @property
    @override
    def own_pass(self) -> bool:
        return True

    def courses(self, activations: Tensor, tokens: Tokens | None) -> Tensor:
        """Time courses of the networks, from untouched activations of all blocks.

        Parameters
        ----------
        activations : Tensor of shape (…, N)
            Activations of all neurons.
        tokens : Tokens or None
            Tokens of the activations; may be None unless the edit is ``by_position``.

        Returns
        -------
        Tensor of shape (…, k)
            Coefficients of the patterns.
        """
        exact = activations.to(torch.promote_types(activations.dtype, torch.float32))
        return self.centred(exact @ self.filters.to(exact).T, tokens)

    def centred(self, read: Tensor, tokens: Tokens | None) -> Tensor:
        """Time courses from what the filters read, less what they read from the centre."""
        plain = self._placed(("offset",), lambda: self._of_filters(self.centre), read)
        first = self._placed(("first offset",), lambda: self._of_filters(self.first_centre), read)
        return read - self._offset(plain, first, tokens)

    def _of_filters(self, centre: Tensor) -> Tensor:
        return self.filters.double() @ centre.double()

    def subtracted(self, block: Block, activations: Tensor, courses: Tensor, tokens: Tokens | None) -> Tensor:
        """Activations of a block less its part of the networks, by their time courses of shape (…, k)."""
        courses = courses.to(activations.device)
        weights = self._placed(("weights", block.path), lambda: self._weights(block), courses)
        return self._at_chosen(activations - courses @ weights, activations, tokens)

    def _weights(self, block: Block) -> Tensor:
        removed = 1 - torch.tensor(self.factors, dtype=torch.float64)
        return removed[:, None] * self.patterns[:, block.columns].double()

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        raise LayoutError("subtract reads activations of all blocks: it is applied to a running model only")

    @override
    def on_recorded(self, activations: Tensor, tokens: Tokens) -> Edit:
        return _RecordedSubtraction(self, self.courses(activations, tokens))

    @override
    @contextmanager
    def running(self, model: nn.Module, layout: NeuronLayout) -> Iterator[Edit]:
        subtraction = _RunningSubtraction(self, body_of(model, layout))
        read = replace(layout, blocks=subtraction.read_blocks(layout))
        with first_pass(model, read, subtraction.read, subtraction.forget):
            yield subtraction


class _Subtraction(Edit):
    """A subtraction whose time courses are known, or get known."""

    def __init__(self, edit: SubtractEdit) -> None:
        self.edit = edit

    @property
    @override
    def touched(self) -> Tensor:
        return self.edit.touched

    @property
    @override
    def digest(self) -> str:
        return self.edit.digest


class _RecordedSubtraction(_Subtraction):
    """A subtraction on recorded activations, whose time courses are known."""

    def __init__(self, edit: SubtractEdit, courses: Tensor) -> None:
        super().__init__(edit)
        self.courses = courses

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        return self.edit.subtracted(block, activations, self.courses, tokens)


class _RunningSubtraction(_Subtraction):
    """A subtraction while it is applied: reads time courses in the first pass, subtracts in the second."""

    def __init__(self, edit: SubtractEdit, body: nn.Module) -> None:
        super().__init__(edit)
        self.body = body
        self.sums: Tensor | None = None

    def read_blocks(self, layout: NeuronLayout) -> tuple[Block, ...]:
        """Blocks that the time courses depend on."""
        weights = (self.edit.filters != 0).any(dim=0)
        return tuple(block for block in layout.blocks if weights[block.columns].any())

    def read(self, block: Block, activations: Tensor) -> None:
        """Add a block's part to what the filters read, shape (tokens, k)."""
        flat = activations.reshape(-1, block.width)
        exact = flat.to(torch.promote_types(flat.dtype, torch.float32))
        filters = self.edit._placed(
            ("filters", block.path), lambda: self.edit.filters[:, block.columns].T.contiguous(), exact
        )
        part = exact @ filters
        self.sums = part if self.sums is None else self.sums + part.to(self.sums.device)

    def forget(self) -> None:
        """Forget the time courses of the latest pass."""
        self.sums = None

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        if in_first_pass(self.body):
            return activations
        if self.sums is None:
            raise LayoutError(
                f"{block.path} ran outside of a forward pass of the model's body: there are no time courses"
            )
        read = self.sums.view(*activations.shape[:-1], -1).to(activations.device)
        return self.edit.subtracted(block, activations, self.edit.centred(read, tokens), tokens)


class Subtract(SubtractConfig, ComponentIntervention):
    """Subtract (1 − factor) · time course · map of networks, by an untouched pass over the same tokens.

    Examples
    --------
    >>> removed = fbn.Subtract([0]).on(networks)
    """

    @override
    def edit_along(self, patterns: Tensor, target: Target) -> SubtractEdit:
        centre, first_centre = self._centres(target)
        return SubtractEdit(
            patterns=patterns,
            factors=self._factors(target),
            centre=centre,
            first_centre=first_centre,
            place=self.tokens,
            filters=components_in(target).filters,
        )

    @override
    def describe(self) -> str:
        return self._described("subtract")
