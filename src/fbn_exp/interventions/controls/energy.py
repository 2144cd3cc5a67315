"""Other neurons from which an intervention removes as much energy, by more of them where needed."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ControlError
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.target import OUTSIDE

# of the energy to match: what may be left open
TOLERANCE = 0.005
# largest share of the free neurons' energy that a draw may take: beyond, draws are all but one and the same
LARGEST_DEMAND = 0.5
# of the energy to match: a draw that differs by more is none
LARGEST_ERROR = 0.1
# of single neurons, at most so many in each block
EXCHANGES = 10
# with fewer candidates for each member, draws would be all but one and the same
LEAST_CHOICE = 3


def require_energy(original: Original) -> Tensor:
    """Energy of every neuron as a member of each network, shape (K, N).

    Raises
    ------
    ControlError
        If it is unknown, or the intervention removes none.
    """
    if original.energy is None:
        raise ControlError("the energy of neurons is not known: no activations were sampled")
    if not original.energy_of(original.target.labels):
        raise ControlError("the intervention changes no activation")
    return original.energy


@dataclass(frozen=True, eq=False)
class _Demand:
    """Members of networks that are treated alike, in one block.

    Attributes
    ----------
    block : int
        Index of the block.
    members : Tensor of int64
        The members.
    energy : Tensor of shape (N,)
        Energy of every neuron as one of them.
    order : Tensor of shape (N,)
        Neurons of each block in ascending order of that energy, the blocks as they are in the layout.
    """

    block: int
    members: Tensor
    energy: Tensor
    order: Tensor

    @property
    def wanted(self) -> float:
        return float(self.energy[self.members].sum())


class EqualEnergy(Drawer):
    """Neurons of the same blocks in random order, as many as hold as much energy as the target's.

    The members in a block are replaced by free neurons of the block. Where these are quieter than the members
    on average, more are drawn than there are members. Where they are louder, the loudest are set aside, until
    the mean energy of the rest is that of the members, so that about as many are drawn. What a block cannot
    provide is drawn in the blocks nearest to it.

    Raises
    ------
    ControlError
        If the energy of neurons is unknown, or the free ones hold less than twice the energy of the target.
    """

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        energy, own = require_energy(original), original.energy_of(original.target.labels)
        assert own is not None
        spare = float(energy.mean(dim=0)[original.free].sum())
        if LARGEST_DEMAND * spare < own:
            raise ControlError(
                f"all other neurons together hold {spare / own:.2g} times the energy that the intervention "
                f"removes, and draws that differ need {1 / LARGEST_DEMAND:g} times: noise has as much "
                "energy, and less is removed by intervention.fill=position_mean, "
                "intervention.tokens=first_spared or intervention.members=without_keystones"
            )
        self.demands = self._demands(energy)

    def _demands(self, energy: Tensor) -> list[_Demand]:
        original = self.original
        labels = original.target.labels[original.members]
        # networks with the same factor are treated alike
        _, alike = torch.unique(energy, dim=0, return_inverse=True)
        demands, blocks = [], original.target.layout.blocks
        for kind in alike.unique().tolist():
            row = energy[(alike == kind).nonzero()[0, 0]]
            members = original.members[alike[labels] == kind]
            ascending = [each.offset + row[each.columns].argsort(stable=True) for each in blocks]
            order = torch.cat(ascending)
            for block in original.block_of[members].unique().tolist():
                demands.append(_Demand(block, members[original.block_of[members] == block], row, order))
        return demands

    @override
    def draw(self, generator: torch.Generator) -> Control:
        """Draw a control.

        Raises
        ------
        ControlError
            If single neurons hold too much energy to add up to that of the target.
        """
        labels = torch.full_like(self.original.target.labels, OUTSIDE)
        free = self.original.free.clone()
        in_own_block = 0
        missing = [demand.wanted for demand in self.demands]
        for place, demand in enumerate(self.demands):
            missing[place] -= self._fill(demand, demand.block, missing[place], free, labels, generator)
            in_own_block = int((labels != OUTSIDE).sum())
        n_blocks = len(self.original.target.layout.blocks)
        for place, demand in enumerate(self.demands):
            for block in sorted(range(n_blocks), key=lambda other: abs(other - demand.block)):
                if missing[place] > TOLERANCE * demand.wanted:
                    missing[place] -= self._fill(demand, block, missing[place], free, labels, generator)
        self._exchange(self._add_one(sum(missing), free, labels), free, labels)
        drawn = int((labels != OUTSIDE).sum())
        control = self.original.described(labels, in_own_block / max(1, drawn))
        assert control.energy_ratio is not None
        if abs(control.energy_ratio - 1) > LARGEST_ERROR:
            raise ControlError(
                f"drawn neurons have {control.energy_ratio:.2g} times the energy of the networks': single "
                "neurons hold too much of it for a sum that is closer"
            )
        return control

    def _fill(
        self,
        demand: _Demand,
        block: int,
        wanted: float,
        free: Tensor,
        labels: Tensor,
        generator: torch.Generator,
    ) -> float:
        """Draw neurons of a block with about the energy wanted, never more; return what they hold."""
        columns = self.original.target.layout.blocks[block].columns
        ascending = demand.order[columns]
        candidates = ascending[free[ascending]]
        energy = demand.energy[candidates]
        usual = wanted / max(1.0, len(demand.members) * wanted / demand.wanted)
        means = energy.cumsum(0) / torch.arange(1, len(energy) + 1)
        quiet = max(int((means <= usual).sum()), LEAST_CHOICE * len(demand.members))
        order = torch.randperm(min(quiet, len(candidates)), generator=generator)
        # the loud ones come last
        order = torch.cat([order, torch.arange(len(order), len(candidates))])
        chosen = order[_fitting(energy[order], wanted)]
        taken = candidates[chosen]
        free[taken] = False
        represented = torch.randint(len(demand.members), (len(taken),), generator=generator)
        labels[taken] = self.original.target.labels[demand.members[represented]]
        return float(energy[chosen].sum())

    def _add_one(self, missing: float, free: Tensor, labels: Tensor) -> float:
        """Draw the one neuron that brings the sum nearest to what is wanted; return what is missing then."""
        best, chosen = abs(missing), None
        for demand in self.demands:
            ascending = demand.order[self.original.target.layout.blocks[demand.block].columns]
            others = ascending[free[ascending]]
            left = (missing - demand.energy[others]).abs()
            if len(others) and left.min() < best:
                best, chosen = float(left.min()), (demand, others[left.argmin()])
        if chosen is None:
            return missing
        demand, neuron = chosen
        labels[neuron], free[neuron] = self.original.target.labels[demand.members[0]], False
        return missing - float(demand.energy[neuron])

    def _exchange(self, missing: float, free: Tensor, labels: Tensor) -> None:
        """Exchange single neurons for others of their block that bring the sum nearer to what is wanted."""
        allowed = TOLERANCE * sum(demand.wanted for demand in self.demands)
        for demand in self.demands * EXCHANGES:
            if abs(missing) <= allowed:
                return
            ascending = demand.order[self.original.target.layout.blocks[demand.block].columns]
            others = ascending[free[ascending]]
            own = ascending[torch.isin(labels[ascending], self.original.target.labels[demand.members])]
            if not (len(own) and len(others)):
                continue
            levels = demand.energy[others].contiguous()
            after = torch.searchsorted(levels, demand.energy[own] + missing)
            places = torch.stack([after - 1, after]).clamp(0, len(others) - 1)
            left = (missing - (levels[places] - demand.energy[own])).abs()
            best = int(left.argmin())
            side, place = divmod(best, len(own))
            if left[side, place] < abs(missing):
                old, new = own[place], others[places[side, place]]
                missing -= float(demand.energy[new] - demand.energy[old])
                labels[new], labels[old] = labels[old], OUTSIDE
                free[new], free[old] = False, True


def _fitting(energy: Tensor, wanted: float) -> Tensor:
    """Places of the numbers that are taken if each is taken that fits into what is still wanted."""
    places: list[Tensor] = []
    left, missing = torch.arange(len(energy)), wanted
    while True:
        left = left[energy[left] <= missing]
        together = energy[left].cumsum(0)
        count = int((together <= missing).sum())
        if count == 0 or missing <= TOLERANCE * wanted:
            return torch.cat([*places, left[:0]])
        places.append(left[:count])
        missing -= float(together[count - 1])
        left = left[count:]
