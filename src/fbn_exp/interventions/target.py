"""Targets of interventions: the members of chosen networks, every neuron counted once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken
from fbn_exp.interventions.component.patterns import Components, components_of
from fbn_exp.interventions.config import Members, Place
from fbn_exp.interventions.resample import Donors
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import statistics_of
from fbn_exp.thresholds.base import Threshold

OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class Target:
    """Neurons of chosen networks.

    Attributes
    ----------
    networks : tuple of int
        Indices of the chosen networks.
    labels : Tensor of shape (N,), int64
        Position in ``networks`` of the network that each neuron belongs to, ``OUTSIDE`` for none. A
        neuron of several networks counts for the one in which its |z| is largest.
    layout : NeuronLayout
        Order of the neurons.
    statistics : StatisticsByToken
        Statistics of every neuron over the extraction texts, those of first tokens apart.
    donors : Donors, optional
        Activations of other texts, which ``fill=resample`` takes values from.
    components : Components, optional
        The networks as directions of the activations; None if they do not say how signals were standardised.
    """

    networks: tuple[int, ...]
    labels: Tensor
    layout: NeuronLayout
    statistics: StatisticsByToken
    donors: Donors | None = None
    components: Components | None = None

    @property
    def members(self) -> Tensor:
        """Neurons of any chosen network, bool of shape (N,)."""
        return self.labels != OUTSIDE

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.members.sum())

    @property
    def mean(self) -> Tensor:
        """Mean activation of every neuron over all tokens, float64 of shape (N,)."""
        return self.statistics.all.mean

    def mean_absolute(self, place: Place = Place.all) -> Tensor:
        """Mean of |activation| over the tokens of a place, float64 of shape (N,).

        Over all tokens where first ones and others were not recorded apart.
        """
        first, others = self.statistics.first, self.statistics.others
        if place is Place.all or first is None or not (first.n_tokens and others.n_tokens):
            return self.statistics.all.mean_absolute
        return (first if place is Place.first_only else others).mean_absolute

    def apart(self, what: str) -> tuple[NeuronStatistics, NeuronStatistics]:
        """Statistics at first tokens and at the others.

        Parameters
        ----------
        what : str
            What needs them, for the error.

        Raises
        ------
        NetworksError
            If the networks do not hold both.
        """
        first, others = self.statistics.first, self.statistics.others
        if first is None:
            raise NetworksError(
                f"{what} needs statistics of first tokens apart, which networks of an earlier version do not "
                "hold: extract again"
            )
        if not (first.n_tokens and others.n_tokens):
            raise NetworksError(
                f"{what} needs statistics of first tokens and of others, and the networks come from "
                f"{first.n_tokens} first tokens and {others.n_tokens} others: take longer texts"
            )
        return first, others

    def with_components(self, components: Components) -> "Target":
        """Copy with other directions in place of these, as for a control."""
        return replace(self, components=components)

    def with_labels(self, labels: Tensor) -> "Target":
        """Copy with other neurons in place of these, as for a control."""
        return replace(self, labels=labels)


def no_target(layout: NeuronLayout) -> Target:
    """Empty target, for an untouched model."""
    nothing = torch.zeros(layout.n_neurons, dtype=torch.float64)
    labels = torch.full((layout.n_neurons,), OUTSIDE)
    return Target((), labels, layout, StatisticsByToken(None, NeuronStatistics(nothing, nothing, nothing)))


def choose_target(
    networks: FunctionalNetworks,
    threshold: Threshold,
    selection: str | Sequence[int],
    *,
    members: Members = Members.all,
    keystones: Tensor | None = None,
    donors: Donors | None = None,
    require_members: bool = True,
    allow_empty: bool = False,
) -> Target:
    """Choose the neurons of ``all`` networks or of those with given indices.

    Parameters
    ----------
    networks : FunctionalNetworks
        Networks to choose from.
    threshold : Threshold
        Rule of membership.
    selection : "all" or sequence of int
        Networks to choose.
    members : Members
        Members to keep: all, keystones, those that are no keystones, or none at all.
    keystones : Tensor of shape (N,), bool, optional
        Keystones of the model; needed where members are divided by them.
    donors : Donors, optional
        Activations of other texts, for ``fill=resample``.
    require_members : bool
        False for an intervention on whole maps, which networks without a member have too.
    allow_empty : bool
        True if nothing may be left of the members, as where a model has no keystones.

    Raises
    ------
    NetworksError
        If an index does not exist, no network is chosen, no neuron is left, keystones are not known where
        they are needed, or the networks lack the statistics of neurons.
    """
    if isinstance(selection, str):
        if selection != "all":
            raise NetworksError(
                f"intervention.networks is {selection!r}: all, or a list of indices such as [0,2]"
            )
        selection = range(len(networks))
    chosen = tuple(dict.fromkeys(selection))
    wrong = [index for index in chosen if index not in range(len(networks))]
    if wrong:
        raise NetworksError(
            f"intervention.networks names {wrong}, there are networks 0 to {len(networks) - 1}"
        )
    if not chosen:
        raise NetworksError("intervention.networks is empty: name at least one network, or all")
    every_mask = networks.masks(threshold)
    masks = every_mask[list(chosen)]
    strength = networks.z_scores()[list(chosen)].abs().masked_fill(~masks, -1.0)
    strongest, owner = strength.max(dim=0)
    labels = torch.where(strongest >= 0, owner, OUTSIDE)
    if require_members and not (labels != OUTSIDE).any():
        raise NetworksError(_empty(chosen, every_mask, threshold))
    labels = _kept(labels, members, keystones)
    if members.needs_keystones and not allow_empty and not (labels != OUTSIDE).any():
        which = "a keystone" if members is Members.keystones else "anything but keystones"
        raise NetworksError(
            f"no member of networks {list(chosen)} is {which}: take other networks, "
            "intervention.members=all, or intervention.allow_empty=true"
        )
    statistics = statistics_of(networks.neurons, networks.provenance)
    components = components_of(networks, chosen, statistics)
    return Target(chosen, labels, networks.layout, statistics, donors, components)


def _empty(chosen: Sequence[int], masks: Tensor, threshold: Threshold) -> str:
    """Message for networks without a member, which names those that have some."""
    others = masks.any(dim=1).nonzero()[:, 0].tolist()
    choice = (
        f"choose among networks {others}, which have some, or take another threshold"
        if others
        else "no network has any, take another threshold (threshold=z, or a lower one)"
    )
    return (
        f"networks {list(chosen)} have no neuron at {threshold.describe()}: nothing to intervene on; {choice}"
    )


def _kept(labels: Tensor, members: Members, keystones: Tensor | None) -> Tensor:
    """Labels of the members that are kept."""
    if members is Members.all:
        return labels
    if members is Members.none:
        return torch.full_like(labels, OUTSIDE)
    if keystones is None:
        raise NetworksError(
            f"intervention.members={members.value} needs the keystones of the model, and they are not known: "
            "scan them with analysis=keystones, or take intervention.members=all"
        )
    if keystones.shape != labels.shape:
        raise NetworksError(
            f"keystones have shape {tuple(keystones.shape)}, the layout {len(labels)} neurons"
        )
    kept = keystones if members is Members.keystones else ~keystones
    return torch.where(kept, labels, OUTSIDE)
