"""Base of interventions: from networks to a target, from a target to an edit."""

from abc import ABC, abstractmethod
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from fbn_exp.interventions.config import EditConfig, Fill, FilledConfig, InterventionConfig, Members, Place
from fbn_exp.interventions.edit import Edit
from fbn_exp.interventions.fill import filled
from fbn_exp.interventions.resample import Donors
from fbn_exp.interventions.target import Target, choose_target
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
        keystones: Tensor | None = None,
        donors: Donors | None = None,
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
        keystones : Tensor of shape (N,), bool, optional
            Keystones of the model, where not all members are edited.
        donors : Donors, optional
            Activations of other texts, for ``fill=resample``.

        Raises
        ------
        NetworksError
            If an index does not exist, no neuron is left, or keystones are needed and not given.

        Examples
        --------
        >>> fbn.Inhibit([3]).on(networks, fbn.ZThreshold(1.96))
        inhibit on networks 3: 60 neurons
        """
        rule = threshold or ZThreshold()
        target = self.target(networks, rule, keystones, donors)
        return TargetedIntervention(self, target, networks, same_weights, rule)

    def target(
        self,
        networks: FunctionalNetworks,
        threshold: Threshold,
        keystones: Tensor | None = None,
        donors: Donors | None = None,
    ) -> Target:
        """Choose the neurons of networks to intervene on; arguments and errors as in ``on``."""
        return choose_target(
            networks, threshold, self.networks, donors=donors, require_members=self.acts_on_members
        )

    @property
    def needs_keystones(self) -> bool:
        """Whether the target depends on the keystones of the model."""
        return False

    @property
    def needs_donors(self) -> bool:
        """Whether the edit takes values from activations of other texts."""
        return False

    @property
    def is_plain_lesion(self) -> bool:
        """Whether it sets all members to 0 at all tokens, as the paper does."""
        return False

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


class Editing(EditConfig, Intervention):
    """Intervention on some tokens and some members."""

    @property
    @override
    def needs_keystones(self) -> bool:
        return self.members.needs_keystones

    @override
    def target(
        self,
        networks: FunctionalNetworks,
        threshold: Threshold,
        keystones: Tensor | None = None,
        donors: Donors | None = None,
    ) -> Target:
        return choose_target(
            networks,
            threshold,
            self.networks,
            members=self.members,
            keystones=keystones,
            donors=donors,
            allow_empty=self.allow_empty,
        )

    def with_options(self, words: str, **options: StrEnum) -> str:
        """Name the options that are not their defaults after a description."""
        options |= {"tokens": self.tokens, "members": self.members}
        said = [f"{name}={value}" for name, value in options.items() if value not in (Fill.zero, Place.all)]
        return f"{words} ({', '.join(said)})" if said else words


class Filling(FilledConfig, Editing):
    """Intervention that moves neurons to a fill."""

    @property
    @override
    def needs_donors(self) -> bool:
        return self.fill is Fill.resample

    @property
    @override
    def is_plain_lesion(self) -> bool:
        plain = (self.fill, self.tokens, self.members) == (Fill.zero, Place.all, Members.all)
        return plain and self.single_factor == 0

    def moved(self, factor: Tensor, target: Target) -> Edit:
        """Make the edit that moves neurons to the fill, of a factor of shape (N,), 1 where they stay."""
        return filled(factor, self.fill, self.tokens, target)
