"""Targets of interventions: the members of chosen networks, every neuron counted once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.interventions.resample import Donors
from fbn_exp.networks.artifact import FunctionalNetworks
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
    mean, mean_absolute : Tensor of shape (N,)
        Mean of activations and of |activations| over the extraction texts.
    donors : Donors, optional
        Activations of other texts, which ``fill=resample`` takes values from.
    """

    networks: tuple[int, ...]
    labels: Tensor
    layout: NeuronLayout
    mean: Tensor
    mean_absolute: Tensor
    donors: Donors | None = None

    @property
    def members(self) -> Tensor:
        """Neurons of any chosen network, bool of shape (N,)."""
        return self.labels != OUTSIDE

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.members.sum())

    def with_labels(self, labels: Tensor) -> "Target":
        """Copy with other neurons in place of these, as for a control."""
        return replace(self, labels=labels)


def no_target(layout: NeuronLayout) -> Target:
    """Empty target, for an untouched model."""
    nothing = torch.zeros(layout.n_neurons)
    labels = torch.full((layout.n_neurons,), OUTSIDE)
    return Target((), labels, layout, mean=nothing, mean_absolute=nothing)


def choose_target(
    networks: FunctionalNetworks, threshold: Threshold, selection: str | Sequence[int]
) -> Target:
    """Choose the neurons of ``all`` networks or of those with given indices.

    Raises
    ------
    NetworksError
        If an index does not exist, no network is chosen, the chosen networks have no neurons, or the networks
        lack the mean activations of neurons.
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
    members = networks.masks(threshold)[list(chosen)]
    strength = networks.z_scores()[list(chosen)].abs().masked_fill(~members, -1.0)
    strongest, owner = strength.max(dim=0)
    labels = torch.where(strongest >= 0, owner, OUTSIDE)
    if not (labels != OUTSIDE).any():
        raise NetworksError(
            f"networks {list(chosen)} have no neuron at {threshold.describe()}: nothing to intervene on; "
            "lower the threshold or choose others"
        )
    neurons = networks.neurons
    if lacking := [name for name in ("mean", "mean_absolute") if name not in neurons]:
        raise NetworksError(f"the networks hold no {' and no '.join(lacking)} of each neuron: extract again")
    return Target(chosen, labels, networks.layout, neurons["mean"], neurons["mean_absolute"])
