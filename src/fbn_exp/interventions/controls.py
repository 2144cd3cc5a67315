"""Random networks to compare with: as large, in the same blocks, as active; never the own neurons."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.core.layout import Block
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.target import OUTSIDE, Target

# an activation-matched neuron is drawn among so many with the nearest mean |activation|
NEAREST = 5


@dataclass(frozen=True, eq=False)
class Control:
    """A drawn set of neurons.

    Attributes
    ----------
    target : Target
        The drawn neurons in the place of the real ones.
    same_block : float
        Share of them that lie in the block of the neuron that they stand for.
    activity_ratio : float
        Their mean absolute activations, summed, over those of the neurons that they stand for. Below 1 where
        the networks hold a block's most active neurons: nothing outside is as active.
    """

    target: Target
    same_block: float
    activity_ratio: float


def draw_controls(
    target: Target, repeats: int, seed: int, share: float | None = None
) -> dict[ControlKind, list[Control]]:
    """Controls of every kind.

    ``random``: anywhere in the layout. ``per_block``: for each neuron one in its block. ``activation``:
    for each neuron one in its block with a mean |activation| among the nearest ones that are free, which is
    no match for the most active neuron of a block: ``activity_ratio`` tells. Where the networks
    hold more than half of a block, its free neurons do not suffice, and what other members leave free in
    the nearest block stands in; ``same_block`` tells how often. ``share``, if asked for: that share of all
    neurons, anywhere, each standing for a member drawn at random.

    Parameters
    ----------
    target : Target
        The neurons to match; none of them is drawn.
    repeats : int
        Draws of each kind; more of them extend the list.
    seed : int
        Each kind has a generator of its own.
    share : float, optional
        Of all neurons, at most half.

    Returns
    -------
    dict of ControlKind to list of Control
        Empty if the networks hold more than half of all neurons: then no control exists.
    """
    if 2 * target.size > target.layout.n_neurons:
        return {}
    drawn = {}
    for place, kind in enumerate(ControlKind):
        if kind is ControlKind.share and share is None:
            continue
        generator = torch.Generator().manual_seed(len(ControlKind) * seed + place)
        drawn[kind] = [_draw(target, kind, generator, share) for _ in range(repeats)]
    return drawn


def _draw(target: Target, kind: ControlKind, generator: torch.Generator, share: float | None) -> Control:
    members = target.members.nonzero()[:, 0]
    block_of = _block_of(target)
    if kind is ControlKind.share and share is not None:
        size = max(1, round(share * target.layout.n_neurons))
        members = members[torch.randint(len(members), (size,), generator=generator)]
    if kind in (ControlKind.random, ControlKind.share):
        free = (~target.members).nonzero()[:, 0]
        chosen = free[torch.randperm(len(free), generator=generator)[: len(members)]]
    else:
        members, chosen = _matched(target, members, block_of, kind is ControlKind.activation, generator)
    labels = torch.full_like(target.labels, OUTSIDE)
    labels[chosen] = target.labels[members]
    same = float((block_of[chosen] == block_of[members]).double().mean())
    activity = target.mean_absolute.double()
    ratio = float(activity[chosen].sum() / activity[members].sum().clamp_min(1e-300))
    return Control(target.with_labels(labels), same, ratio)


def _block_of(target: Target) -> Tensor:
    widths = torch.tensor([block.width for block in target.layout.blocks])
    return torch.arange(len(widths)).repeat_interleave(widths)


class _Pool:
    """The free neurons of a block in the order of their activity; who is taken is no longer free."""

    def __init__(self, neurons: list[int], activity: list[float]) -> None:
        self.neurons = neurons
        self.activity = activity

    def __len__(self) -> int:
        return len(self.neurons)

    def take(self, share: float, activity: float | None) -> int:
        """Neuron at a share in [0, 1) of all, or of those with the nearest activity."""
        candidates: Sequence[int] = range(len(self))
        if activity is not None:
            place = bisect.bisect_left(self.activity, activity)
            around = range(max(0, place - NEAREST), min(len(self), place + NEAREST))
            candidates = sorted(around, key=lambda each: abs(self.activity[each] - activity))[:NEAREST]
        chosen = candidates[int(share * len(candidates))]
        self.activity.pop(chosen)
        return self.neurons.pop(chosen)


def _matched(
    target: Target, members: Tensor, block_of: Tensor, by_activity: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Members in the order in which they chose, and the neuron that each of them chose."""
    activity = target.mean_absolute.double().clamp_min(1e-12).log()
    if by_activity:
        # the hardest to match choose first: few neurons are as active as they
        order = activity[members].argsort(descending=True, stable=True)
    else:
        order = torch.randperm(len(members), generator=generator)
    pools = [_pool(target, block, activity) for block in target.layout.blocks]
    choosers, shares = members[order].tolist(), torch.rand(len(members), generator=generator).tolist()
    blocks, wanted = block_of.tolist(), activity.tolist()
    chosen: dict[int, int] = {}
    # those whose block has no free neuron left come second, so that they take nobody's place
    for elsewhere in (False, True):
        for member, share in zip(choosers, shares, strict=True):
            if member in chosen:
                continue
            pool = _nearest(pools, blocks[member]) if elsewhere else pools[blocks[member]]
            if pool:
                chosen[member] = pool.take(share, wanted[member] if by_activity else None)
    return torch.tensor(list(chosen)), torch.tensor(list(chosen.values()))


def _pool(target: Target, block: Block, activity: Tensor) -> _Pool:
    free = (~target.members[block.columns]).nonzero()[:, 0] + block.offset
    free = free[activity[free].argsort(stable=True)]
    return _Pool(free.tolist(), activity[free].tolist())


def _nearest(pools: list[_Pool], block: int) -> _Pool:
    """The pool nearest to a block of those that are not empty."""
    places = (each for each in range(len(pools)) if pools[each])
    return pools[min(places, key=lambda each: abs(each - block))]
