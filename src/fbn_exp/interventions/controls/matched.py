"""Other neurons in place of a target's: anywhere, in the same blocks, or nearest in activity."""

import bisect
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ControlError
from fbn_exp.core.layout import Block
from fbn_exp.interventions.controls.control import Control, Drawer, Original

# an activation-matched neuron is drawn among the nearest in mean |activation|: at most this many that are
# within a factor, and at least so few. Of always 5, draws would have so much in common that the ranks of
# random targets among them were not uniform (10% below .05)
MOST, LEAST = 20, 5
FACTOR = 1.5


def require_free(original: Original) -> None:
    """Check that as many neurons are free as the target holds.

    Raises
    ------
    ControlError
        If there are fewer.
    """
    free, size = int(original.free.sum()), len(original.members)
    if free < size:
        n_neurons = original.target.layout.n_neurons
        raise ControlError(
            f"the networks hold {size:,} of {n_neurons:,} neurons, which leaves {free:,} to draw from"
        )


class Anywhere(Drawer):
    """As many neurons as the target's, anywhere in the layout."""

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        require_free(original)

    @override
    def draw(self, generator: torch.Generator) -> Control:
        members = self.original.members
        free = self.original.free.nonzero()[:, 0]
        return self.original.control(_drawn(free, len(members), generator), members)


class ShareOfAll(Drawer):
    """A share of all neurons, anywhere, each in place of a member drawn at random.

    Parameters
    ----------
    original : Original
        What the share stands in for.
    share : float
        Share of all neurons.
    members : bool
        True draws from members of the networks as well.
    """

    def __init__(self, original: Original, share: float, members: bool = False) -> None:
        super().__init__(original)
        self.pool = (original.allowed if members else original.free).nonzero()[:, 0]
        wanted = max(1, round(share * original.target.layout.n_neurons))
        self.size = min(wanted, len(self.pool))
        if self.size == 0:
            raise ControlError("no neuron is outside the networks")

    @override
    def draw(self, generator: torch.Generator) -> Control:
        members = self.original.members
        represented = members[torch.randint(len(members), (self.size,), generator=generator)]
        return self.original.control(_drawn(self.pool, self.size, generator), represented)


def _drawn(pool: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw neurons without replacement."""
    return pool[torch.randperm(len(pool), generator=generator)[:size]]


class InBlocks(Drawer):
    """For each neuron one in its block.

    Where a block has too few free neurons, those that are still free in the nearest block fill in.
    """

    by_activity = False

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        require_free(original)

    @override
    def draw(self, generator: torch.Generator) -> Control:
        """Match each member to a free neuron."""
        original = self.original
        activity = original.activity.clamp_min(1e-12).log()
        if self.by_activity:
            # the most active members are matched first, since few neurons are as active
            order = activity[original.members].argsort(descending=True, stable=True)
        else:
            order = torch.randperm(len(original.members), generator=generator)
        pools = [_pool(original, block, activity) for block in original.target.layout.blocks]
        choosers = original.members[order].tolist()
        shares = torch.rand(len(choosers), generator=generator).tolist()
        blocks, wanted = original.block_of.tolist(), activity.tolist()
        chosen: dict[int, int] = {}
        # members whose block has no free neuron left come second, so that they displace no other match
        for elsewhere in (False, True):
            for member, share in zip(choosers, shares, strict=True):
                if member in chosen:
                    continue
                pool = _nearest(pools, blocks[member]) if elsewhere else pools[blocks[member]]
                if pool:
                    chosen[member] = pool.take(share, wanted[member] if self.by_activity else None)
        return original.control(torch.tensor(list(chosen.values())), torch.tensor(list(chosen)))


class NearestInActivity(InBlocks):
    """For each neuron one in its block, among the free ones with the nearest mean |activation|.

    The most active neurons of a block have no equal, see ``Control.activity_ratio``.
    """

    by_activity = True


class _Pool:
    """Free neurons of a block in the order of their activity; a taken neuron leaves the pool."""

    def __init__(self, neurons: list[int], activity: list[float]) -> None:
        self.neurons = neurons
        self.activity = activity

    def __len__(self) -> int:
        return len(self.neurons)

    def take(self, share: float, activity: float | None) -> int:
        """Take the neuron at a fraction in [0, 1) of the pool, or of those of nearest log activity."""
        candidates: Sequence[int] = range(len(self))
        if activity is not None:
            place = bisect.bisect_left(self.activity, activity)
            around = range(max(0, place - MOST), min(len(self), place + MOST))
            distance = {index: abs(self.activity[index] - activity) for index in around}
            nearest = sorted(around, key=distance.__getitem__)[:MOST]
            near = sum(distance[index] <= math.log(FACTOR) for index in nearest)
            candidates = nearest[: max(near, LEAST)]
        chosen = candidates[int(share * len(candidates))]
        self.activity.pop(chosen)
        return self.neurons.pop(chosen)


def _pool(original: Original, block: Block, activity: Tensor) -> _Pool:
    free = original.free[block.columns].nonzero()[:, 0] + block.offset
    free = free[activity[free].argsort(stable=True)]
    return _Pool(free.tolist(), activity[free].tolist())


def _nearest(pools: list[_Pool], block: int) -> _Pool:
    """Nearest pool to a block among those that are not empty."""
    places = (place for place in range(len(pools)) if pools[place])
    return pools[min(places, key=lambda place: abs(place - block))]
