"""What edits and interventions along the patterns of networks have in common."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import NetworksError
from fbn_exp.interventions.base import Intervention
from fbn_exp.interventions.component.config import ComponentConfig
from fbn_exp.interventions.component.patterns import Components
from fbn_exp.interventions.config import Fill, Place, require_one_or_each
from fbn_exp.interventions.edit import Edit
from fbn_exp.interventions.place import changed_at
from fbn_exp.interventions.rules import in_words
from fbn_exp.interventions.target import Target
from fbn_exp.models.positions import Tokens, require_tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class ComponentEdit(Edit):
    """Edit along the patterns of networks, around a centre, at chosen tokens.

    Attributes
    ----------
    patterns : Tensor of shape (k, N)
        Maps in units of activations.
    factors : tuple of float, of length k
        What remains of each network: 0 nothing, 1 all.
    centre, first_centre : Tensor of shape (N,)
        What deviations are counted from, at tokens that are not first and at first ones.
    place : Place
        Tokens that are changed.
    """

    patterns: Tensor
    factors: tuple[float, ...]
    centre: Tensor
    first_centre: Tensor
    place: Place = Place.all

    @property
    @override
    def touched(self) -> Tensor:
        removed = torch.tensor(self.factors) != 1
        return (self.patterns[removed] != 0).any(dim=0)

    @property
    @override
    def digest(self) -> str:
        described = f"{type(self).__name__} {self.factors} {self.place.value}"
        summary = hashlib.sha256(described.encode())
        for vectors in self._hashed():
            summary.update((vectors.float() + 0.0).contiguous().numpy().tobytes())
        return summary.hexdigest()

    def _hashed(self) -> Sequence[Tensor]:
        return self.patterns, self.centre, self.first_centre

    @property
    @override
    def by_position(self) -> bool:
        return self.place is not Place.all or not torch.equal(self.centre, self.first_centre)

    def _offset(self, plain: Tensor, first: Tensor, tokens: Tokens | None) -> Tensor:
        """Offset of the centre at each token; one for all if it does not depend on the position."""
        if torch.equal(self.centre, self.first_centre):
            return plain
        return torch.where(require_tokens(tokens).first.to(plain.device)[..., None], first, plain)

    def _at_chosen(self, changed: Tensor, activations: Tensor, tokens: Tokens | None) -> Tensor:
        """Changed activations at chosen tokens, in the number format of the model, and others as they are."""
        return changed_at(self.place, changed.to(activations.dtype), activations, tokens)


class ComponentIntervention(ComponentConfig, Intervention):
    """Intervention along the patterns of chosen networks."""

    acts_on_members: ClassVar[bool] = False

    @property
    @override
    def single_factor(self) -> float | None:
        return self.factors[0] if len(self.factors) == 1 else None

    @override
    def edit(self, target: Target) -> ComponentEdit:
        return self.edit_along(components_in(target).patterns, target)

    @abstractmethod
    def edit_along(self, patterns: Tensor, target: Target) -> ComponentEdit:
        """Make the edit along other patterns than those of the target's networks, as for a control.

        Parameters
        ----------
        patterns : Tensor of shape (k, N)
            A pattern for each chosen network, in units of activations.
        target : Target
            Networks and statistics of the neurons.
        """

    @override
    def n_neurons(self, target: Target) -> int:
        return int((components_in(target).patterns != 0).any(dim=0).sum())

    def _factors(self, target: Target) -> tuple[float, ...]:
        """Factor of each chosen network."""
        count = len(target.networks)
        require_one_or_each("intervention.factor", self.factors, count)
        return tuple(self.factors * count if len(self.factors) == 1 else self.factors)

    def _centres(self, target: Target) -> tuple[Tensor, Tensor]:
        """What deviations are counted from, at tokens that are not first and at first ones."""
        if self.fill is Fill.position_mean:
            first, others = target.apart("intervention.fill=position_mean")
            return others.mean, first.mean
        centre = torch.zeros_like(target.mean) if self.fill is Fill.zero else target.mean
        return centre, centre

    def _described(self, verb: str) -> str:
        """Name factors, and options that are not their defaults."""
        options = {"fill": (self.fill, Fill.position_mean), "tokens": (self.tokens, Place.all)}
        said = [f"{name}={value}" for name, (value, usual) in options.items() if value is not usual]
        words = f"{verb} {in_words(self.factors)}"
        return f"{words} ({', '.join(said)})" if said else words


def components_in(target: Target) -> Components:
    """Components of a target's networks.

    Raises
    ------
    NetworksError
        If the networks do not say how their signals were standardised.
    """
    if target.components is None:
        raise NetworksError(
            "the networks do not say how their signals were standardised (config.signals is missing in their "
            "provenance), so that their maps cannot be put in units of activations: extract again"
        )
    return target.components
