"""Interventions: rules that turn the neurons of networks into an edit."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.interventions.base import Editing, Filling, Intervention
from fbn_exp.interventions.config import (
    AmplifyConfig,
    Fill,
    InhibitConfig,
    MeanConfig,
    NoInterventionConfig,
    PreserveConfig,
    ScaleConfig,
    ShiftConfig,
    require_one_or_each,
)
from fbn_exp.interventions.edit import Edit, no_edit
from fbn_exp.interventions.fill import at
from fbn_exp.interventions.target import OUTSIDE, Target

__all__ = ["Amplify", "Inhibit", "Intervention", "Mean", "NoIntervention", "Preserve", "Scale", "Shift"]


class NoIntervention(NoInterventionConfig, Intervention):
    """No intervention: the untouched model."""

    @override
    def edit(self, target: Target) -> Edit:
        return no_edit(target.layout.n_neurons)

    @override
    def describe(self) -> str:
        return "untouched"


def _of_members(name: str, numbers: Sequence[float], target: Target) -> Tensor:
    """Expand numbers per network to the members of the target, in the order of the neurons."""
    count = len(target.networks)
    require_one_or_each(name, numbers, count)
    by_network = torch.tensor(list(numbers) * (count if len(numbers) == 1 else 1))
    return by_network[target.labels[target.members]]


def in_words(numbers: Sequence[float]) -> str:
    """Numbers, separated by commas."""
    return ", ".join(f"{number:g}" for number in numbers)


class Inhibit(InhibitConfig, Filling):
    """Set members' activations to 0, the paper's lesion, or to another fill.

    Examples
    --------
    >>> lesion = fbn.Inhibit([0]).on(networks)
    >>> gentle = fbn.Inhibit([0], fill="position_mean").on(networks)
    """

    @property
    @override
    def single_factor(self) -> float:
        return 0.0

    @override
    def edit(self, target: Target) -> Edit:
        return self.moved((~target.members).float(), target)

    @override
    def describe(self) -> str:
        return self.with_options("inhibit", fill=self.fill)


class Scale(ScaleConfig, Filling):
    """Multiply members' activations by a factor, or move them towards another fill than 0.

    Examples
    --------
    >>> halved = fbn.Scale([0], 0.5).on(networks)
    """

    @property
    @override
    def single_factor(self) -> float | None:
        return self.factors[0] if len(self.factors) == 1 else None

    @override
    def edit(self, target: Target) -> Edit:
        factor = torch.ones(target.layout.n_neurons)
        factor[target.members] = _of_members("intervention.factor", self.factors, target)
        return self.moved(factor, target)

    @override
    def describe(self) -> str:
        return self.with_options(f"scale {in_words(self.factors)}", fill=self.fill)


class Amplify(AmplifyConfig, Scale):
    """Multiply members' activations by a factor above 1.

    Examples
    --------
    >>> amplified = fbn.Amplify([0], 1.1).on(networks)
    """

    @override
    def with_factor(self, factor: float) -> Scale:
        # factors tried on dev may be 1 or less
        options = {name: getattr(self, name) for name in ("fill", "tokens", "members", "allow_empty")}
        return Scale(self.networks, factor, **options)

    @override
    def describe(self) -> str:
        return self.with_options(f"amplify {in_words(self.factors)}", fill=self.fill)


class Shift(ShiftConfig, Editing):
    """Add a constant to members' activations: the additive variant of the paper's public code.

    Examples
    --------
    >>> shifted = fbn.Shift([0], 1.0).on(networks)
    """

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.shift[target.members] = _of_members("intervention.value", self.values, target)
        return at(self.tokens, edit)

    @override
    def describe(self) -> str:
        return self.with_options(f"shift {in_words(self.values)}")


class Mean(MeanConfig, Inhibit):
    """Replace members' activations by the mean of the neuron over the extraction texts.

    It removes what a neuron encodes about the token, and keeps the constant that later blocks are adapted to.
    Where first tokens are attention sinks, this constant fits neither them nor the others:
    ``fill=position_mean`` has one for each.

    Examples
    --------
    >>> replaced = fbn.Mean([0]).on(networks)
    """

    @override
    def describe(self) -> str:
        return self.with_options("mean ablation") if self.fill is Fill.mean else super().describe()


class Preserve(PreserveConfig, Filling):
    """Set all neurons outside to 0, or another fill, in every block of the layout, also without members.

    Examples
    --------
    >>> preserved = fbn.Preserve().on(networks)
    """

    @override
    def edit(self, target: Target) -> Edit:
        return self.moved((target.labels != OUTSIDE).float(), target)

    @override
    def describe(self) -> str:
        return self.with_options("preserve", fill=self.fill)
