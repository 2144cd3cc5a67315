"""Maps of networks at other neurons, for interventions on whole maps."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ControlError
from fbn_exp.interventions.controls.control import Control, Drawer, Original


class Permuted(Drawer):
    """Patterns of the networks with their weights at permuted neurons, anywhere in the layout.

    One permutation serves all networks, so that their norms and the angles between them stay. Under
    ``subtract`` time courses stay too, and with them the energy. Keystones take the smallest weights.

    Raises
    ------
    ControlError
        If the maps cannot be put in units of activations.
    """

    within_blocks = False

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        components = original.target.components
        if components is None:
            raise ControlError("the networks do not say how their signals were standardised")
        self.components = components
        self.energy = components.patterns.double().square().sum(dim=0)

    @override
    def draw(self, generator: torch.Generator) -> Control:
        neurons = torch.arange(len(self.energy))
        if self.within_blocks:
            parts = [neurons[block.columns] for block in self.original.target.layout.blocks]
        else:
            parts = [neurons]
        order = torch.empty_like(neurons)
        for part in parts:
            order[part] = self._permuted(part, generator)
        blocks = self.original.block_of
        same = float((blocks == blocks[order]).double().mean())
        return self.original.along(self.components.permuted(order), same)

    def _permuted(self, part: Tensor, generator: torch.Generator) -> Tensor:
        """Whose weight each neuron of a part takes."""
        shuffled = part[torch.randperm(len(part), generator=generator)]
        allowed = self.original.allowed[part]
        if allowed.all():
            return shuffled
        # the quietest of the shuffled weights go to keystones, the others to neurons in random order
        quiet = self.energy[shuffled].argsort(stable=True)[: int((~allowed).sum())]
        is_quiet = torch.zeros(len(part), dtype=torch.bool)
        is_quiet[quiet] = True
        taken = torch.empty_like(part)
        taken[~allowed], taken[allowed] = shuffled[is_quiet], shuffled[~is_quiet]
        return taken


class PermutedInBlocks(Permuted):
    """Patterns with their weights permuted within every block, which keeps their norms there."""

    within_blocks = True
