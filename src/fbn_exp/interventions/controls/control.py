"""Controls, what they stand in for, and how the two compare."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fbn_exp.interventions.component.patterns import Components
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.edit import Edit
from fbn_exp.interventions.target import OUTSIDE, Target
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold

if TYPE_CHECKING:
    from fbn_exp.interventions.rules import Intervention


@dataclass(frozen=True, eq=False)
class Control:
    """Stand-in for the neurons of a target.

    Attributes
    ----------
    target : Target
        Drawn neurons in place of the real ones; the real ones if something else is drawn, such as noise.
    same_block : float
        Share of the drawn neurons that lie in the block of the neuron that they replace.
    activity_ratio : float
        Sum of their mean absolute activations over that of the real ones. Below 1 where the networks hold
        the most active neurons of a block: no neuron outside is as active.
    energy_ratio : float or None
        Energy that the intervention removes from them over that which it removes from the real ones; None
        where the energy of neurons is unknown.
    """

    target: Target
    same_block: float
    activity_ratio: float
    energy_ratio: float | None = None

    def edit(self, intervention: "Intervention") -> Edit:
        """Make the edit of the intervention on the control."""
        return intervention.edit(self.target)


@dataclass(frozen=True, eq=False)
class Original:
    """What controls stand in for: an intervention on a target, with all that is known about its neurons.

    Attributes
    ----------
    target : Target
        Neurons that the intervention acts on.
    intervention : Intervention or None
        The intervention; None where only neurons are to be drawn.
    networks : FunctionalNetworks or None
        Networks that the target was chosen from, for controls that turn their maps.
    threshold : Threshold or None
        Rule of membership of the networks.
    keystones : Tensor of shape (N,), bool, or None
        Neurons that no control may hold.
    neuron_energy : callable or None
        Function of an edit: mean over tokens of the squared change of every neuron, shape (N,).
    first : Tensor of shape (F, N) or None
        Activations at first tokens of some texts.
    attribution : callable or None
        Computes the attribution of every neuron, shape (N,); takes a backward pass.
    """

    target: Target
    intervention: "Intervention | None" = None
    networks: FunctionalNetworks | None = None
    threshold: Threshold | None = None
    keystones: Tensor | None = None
    neuron_energy: Callable[[Edit], Tensor] | None = None
    first: Tensor | None = None
    attribution: Callable[[], Tensor] | None = None

    @property
    def on_whole_maps(self) -> bool:
        """Whether the intervention acts on whole maps, not on the members of networks."""
        return self.intervention is not None and not self.intervention.acts_on_members

    @cached_property
    def members(self) -> Tensor:
        """Indices of the target's neurons, in their order."""
        return self.target.members.nonzero()[:, 0]

    @cached_property
    def allowed(self) -> Tensor:
        """Neurons that a control may hold, bool of shape (N,): all but keystones."""
        everything = torch.ones_like(self.target.members)
        return everything if self.keystones is None else ~self.keystones

    @cached_property
    def free(self) -> Tensor:
        """Neurons outside the target that a control may hold, bool of shape (N,)."""
        return ~self.target.members & self.allowed

    @cached_property
    def block_of(self) -> Tensor:
        """Index of the block of every neuron, shape (N,)."""
        widths = torch.tensor([block.width for block in self.target.layout.blocks])
        return torch.arange(len(widths)).repeat_interleave(widths)

    @cached_property
    def activity(self) -> Tensor:
        """Mean |activation| of every neuron over the tokens that the intervention changes, shape (N,)."""
        place = getattr(self.intervention, "tokens", Place.all)
        return self.target.mean_absolute(place).double()

    @cached_property
    def energy(self) -> Tensor | None:
        """Energy that a neuron adds to the edit as a member of each network, float64 of shape (K, N).

        For an intervention that acts on all but the members: what it spares. None if it is unknown.
        """
        if self.neuron_energy is None or self.intervention is None:
            return None
        outside = self.neuron_energy(self._edit_of_all(OUTSIDE))
        known: dict[str, Tensor] = {}
        rows = []
        for network in range(len(self.target.networks)):
            edit = self._edit_of_all(network)
            if edit.digest not in known:
                known[edit.digest] = (self.neuron_energy(edit) - outside).abs().double()
            rows.append(known[edit.digest])
        return torch.stack(rows)

    def _edit_of_all(self, label: int) -> Edit:
        assert self.intervention is not None
        return self.intervention.edit(self.target.with_labels(torch.full_like(self.target.labels, label)))

    def energy_of(self, labels: Tensor) -> float | None:
        """Energy of neurons with given labels, None if it is unknown."""
        if self.energy is None:
            return None
        chosen = (labels != OUTSIDE).nonzero()[:, 0]
        return float(self.energy[labels[chosen], chosen].sum())

    def control(self, chosen: Tensor, members: Tensor) -> Control:
        """Make the control of chosen neurons, each in place of a member, which may occur several times."""
        labels = torch.full_like(self.target.labels, OUTSIDE)
        labels[chosen] = self.target.labels[members]
        same = float((self.block_of[chosen] == self.block_of[members]).double().mean())
        return self.described(labels, same)

    def described(self, labels: Tensor, same_block: float) -> Control:
        """Make the control of neurons with given labels, with its likeness to the target."""
        activity = self.activity
        drawn = labels != OUTSIDE
        ratio = float(activity[drawn].sum() / activity[self.members].sum().clamp_min(1e-300))
        energy, own = self.energy_of(labels), self.energy_of(self.target.labels)
        of_energy = None if energy is None or own is None else energy / max(own, 1e-300)
        return Control(self.target.with_labels(labels), same_block, ratio, of_energy)

    def along(self, components: Components, same_block: float) -> Control:
        """Make the control of an intervention on whole maps, along other components than the target's.

        Its activity is that of all neurons, weighted by the size of their weights.
        """
        target, own = self.target.with_components(components), self.target.components
        assert own is not None
        activity = self.activity
        ratio = _weighted(activity, components) / max(_weighted(activity, own), 1e-300)
        of_energy = None
        if self.neuron_energy is not None and self.whole_energy is not None:
            assert self.intervention is not None
            energy = float(self.neuron_energy(self.intervention.edit(target)).sum())
            of_energy = energy / max(self.whole_energy, 1e-300)
        return Control(target, same_block, ratio, of_energy)

    @cached_property
    def whole_energy(self) -> float | None:
        """Energy of the intervention's own edit, None if it is unknown."""
        if self.neuron_energy is None or self.intervention is None:
            return None
        return float(self.neuron_energy(self.intervention.edit(self.target)).sum())


def _weighted(activity: Tensor, components: Components) -> float:
    return float((components.patterns.double().abs() @ activity.double()).sum())


class Drawer(ABC):
    """Draw controls of one kind for an original.

    Parameters
    ----------
    original : Original
        What the controls stand in for.

    Raises
    ------
    ControlError
        If no control of this kind can be drawn for it.
    """

    def __init__(self, original: Original) -> None:
        self.original = original

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Control:
        """Draw one control."""
