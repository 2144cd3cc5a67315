"""References: the neurons that one would pick without networks, which are no chance."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ControlError
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.controls.energy import require_energy


class Largest(Drawer):
    """As many neurons as the target's, those with the largest value; members may be among them.

    The strongest neurons stand for the members of largest value, so that networks with factors of their own
    keep their sizes.
    """

    def __init__(self, original: Original, value: Tensor) -> None:
        super().__init__(original)
        allowed, size = int(original.allowed.sum()), len(original.members)
        if allowed < size:
            raise ControlError(f"the networks hold {size:,} neurons, and {allowed:,} are no keystones")
        self.value = value

    @override
    def draw(self, generator: torch.Generator) -> Control:
        original = self.original
        value = self.value.double().masked_fill(~original.allowed, -torch.inf)
        # stable: equal values in the order of the layout
        chosen = value.argsort(descending=True, stable=True)[: len(original.members)]
        own = self.value[original.members].argsort(descending=True, stable=True)
        return original.control(chosen, original.members[own])


class TopEnergy(Largest):
    """The neurons from which the intervention removes most energy."""

    def __init__(self, original: Original) -> None:
        super().__init__(original, require_energy(original).mean(dim=0))


class Attribution(Largest):
    """The neurons of largest attribution."""

    def __init__(self, original: Original) -> None:
        if original.attribution is None:
            raise ControlError("attribution needs a model, and texts for a backward pass")
        super().__init__(original, original.attribution())
