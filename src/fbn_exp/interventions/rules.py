"""Interventions: rules that turn the neurons of networks into an edit."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.interventions.config import (
    AmplifyConfig,
    InhibitConfig,
    InterventionConfig,
    MeanConfig,
    NoInterventionConfig,
    PreserveConfig,
    ScaleConfig,
    ShiftConfig,
    require_one_or_each,
)
from fbn_exp.interventions.edit import Edit, no_edit
from fbn_exp.interventions.target import OUTSIDE, Target, choose_target
from fbn_exp.interventions.targeted import TargetedIntervention
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.z import ZThreshold


class Intervention(InterventionConfig, ABC):
    """Rule that turns the neurons of chosen networks into an edit.

    Attributes
    ----------
    acts_on_members : bool
        False if it acts on all weights of the networks' maps, so that networks need no members.
    """

    acts_on_members: ClassVar[bool] = True

    @abstractmethod
    def edit(self, target: Target) -> Edit:
        """Make the edit for a target; it has an entry for every neuron, also outside the target."""

    def on(
        self,
        networks: FunctionalNetworks,
        threshold: Threshold | None = None,
        *,
        same_weights: bool = True,
    ) -> TargetedIntervention:
        """Choose the neurons of networks to intervene on.

        Parameters
        ----------
        networks : FunctionalNetworks
            Networks to choose from; the field ``networks`` of the intervention gives indices, or all.
        threshold : Threshold, optional
            Rule of membership; ``ZThreshold()``, z > 1.96, by default.
        same_weights : bool
            Whether a model must have the very weights that the networks were extracted from; False lesions
            networks of a model in what it was trained to.

        Raises
        ------
        NetworksError
            If an index does not exist, or the chosen networks have no neurons.

        Examples
        --------
        >>> fbn.Inhibit([3]).on(networks, fbn.ZThreshold(1.96))
        inhibit on networks 3: 60 neurons
        """
        target = choose_target(
            networks, threshold or ZThreshold(), self.networks, require_members=self.acts_on_members
        )
        return TargetedIntervention(self, target, networks, same_weights)

    @property
    def single_factor(self) -> float | None:
        """Factor that is common to all networks, None if there is none."""
        return None

    def with_factor(self, factor: float) -> "Intervention":
        """Copy with another factor, for an intervention that has a field ``factor``."""
        return replace(self, factor=factor)  # type: ignore[call-arg]

    def n_neurons(self, target: Target) -> int:
        """Count the neurons that the intervention is about."""
        return target.size

    @abstractmethod
    def describe(self) -> str:
        """Describe the intervention in a few words, for captions."""


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


class Inhibit(InhibitConfig, Intervention):
    """Set members' activations to 0: the paper's lesion.

    Examples
    --------
    >>> lesion = fbn.Inhibit([0]).on(networks)
    """

    @property
    @override
    def single_factor(self) -> float:
        return 0.0

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.members] = 0.0
        return edit

    @override
    def describe(self) -> str:
        return "inhibit"


class Scale(ScaleConfig, Intervention):
    """Multiply members' activations by a factor.

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
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.members] = _of_members("intervention.factor", self.factors, target)
        return edit

    @override
    def describe(self) -> str:
        return f"scale {in_words(self.factors)}"


class Amplify(AmplifyConfig, Scale):
    """Multiply members' activations by a factor above 1.

    Examples
    --------
    >>> amplified = fbn.Amplify([0], 1.1).on(networks)
    """

    @override
    def with_factor(self, factor: float) -> Scale:
        # factors tried on dev may be 1 or less
        return Scale(self.networks, factor)

    @override
    def describe(self) -> str:
        return f"amplify {in_words(self.factors)}"


class Shift(ShiftConfig, Intervention):
    """Add a constant to members' activations: the additive variant of the paper's public code.

    Examples
    --------
    >>> shifted = fbn.Shift([0], 1.0).on(networks)
    """

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.shift[target.members] = _of_members("intervention.value", self.values, target)
        return edit

    @override
    def describe(self) -> str:
        return f"shift {in_words(self.values)}"


class Mean(MeanConfig, Intervention):
    """Replace members' activations by the mean of the neuron over the extraction texts.

    The usual alternative to zero ablation: it removes what a neuron encodes about the token, and keeps the
    constant that later blocks are adapted to.

    Examples
    --------
    >>> replaced = fbn.Mean([0]).on(networks)
    """

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.members] = 0.0
        edit.shift[target.members] = target.mean[target.members].float()
        return edit

    @override
    def describe(self) -> str:
        return "mean ablation"


class Preserve(PreserveConfig, Intervention):
    """Set all neurons outside to 0, in every block of the layout, also in blocks without members.

    Examples
    --------
    >>> preserved = fbn.Preserve().on(networks)
    """

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.labels == OUTSIDE] = 0.0
        return edit

    @override
    def describe(self) -> str:
        return "preserve"
