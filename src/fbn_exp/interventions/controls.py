"""Random networks as controls: matched in size, blocks or activity, and disjoint from the target."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.layout import Block
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.target import OUTSIDE, Target

# an activation-matched neuron is drawn among this many with the nearest mean |activation|
NEAREST = 5


@dataclass(frozen=True, eq=False)
class Control:
    """Random set of neurons that stands in for a target.

    Attributes
    ----------
    target : Target
        Drawn neurons in place of the real ones.
    same_block : float
        Share of them that lie in the block of the neuron that they replace.
    activity_ratio : float
        Sum of their mean absolute activations over that of the neurons that they replace. Below 1 where the
        networks hold the most active neurons of a block: no neuron outside is as active.
    """

    target: Target
    same_block: float
    activity_ratio: float


def draw_controls(
    target: Target, repeats: int, seed: int, share: float | None = None
) -> dict[ControlKind, list[Control]]:
    """Draw controls of every kind.

    ``random``: neurons anywhere in the layout. ``per_block``: for each neuron one in its block.
    ``activation``: for each neuron one in its block, among the free ones with the nearest mean |activation|;
    the most active neurons of a block have no equal, see ``activity_ratio``. Where the networks hold more
    than half of a block, it has too few free neurons, and neurons that are still free in the nearest block
    fill in; ``same_block`` gives the share from the same block. ``share``, if asked for: that share of all
    neurons, anywhere, each in place of a member drawn at random.

    Parameters
    ----------
    target : Target
        Neurons to match; none of them is drawn.
    repeats : int
        Number of draws of each kind; a larger number extends the list.
    seed : int
        Seed of the draws; each kind has its own generator.
    share : float, optional
        Share of all neurons, at most half, for the kind ``share``.

    Returns
    -------
    dict of ControlKind to list of Control
        Empty if the networks hold more than half of all neurons, which leaves none for a control.
    """
    if 2 * target.size > target.layout.n_neurons:
        return {}
    drawn = {}
    for place, kind in enumerate(ControlKind):
        if kind is ControlKind.share and share is None:
            continue
        generator = torch.Generator().manual_seed(len(ControlKind) * seed + place)
        bar = tqdm(range(repeats), desc=f"{kind.value} controls", leave=False, mininterval=0.5)
        drawn[kind] = [_draw(target, kind, generator, share) for _ in bar]
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
    """Free neurons of a block in the order of their activity; a taken neuron leaves the pool."""

    def __init__(self, neurons: list[int], activity: list[float]) -> None:
        self.neurons = neurons
        self.activity = activity

    def __len__(self) -> int:
        return len(self.neurons)

    def take(self, share: float, activity: float | None) -> int:
        """Take the neuron at a fraction in [0, 1) of the pool, or of those with the nearest activity."""
        candidates: Sequence[int] = range(len(self))
        if activity is not None:
            place = bisect.bisect_left(self.activity, activity)
            around = range(max(0, place - NEAREST), min(len(self), place + NEAREST))
            candidates = sorted(around, key=lambda index: abs(self.activity[index] - activity))[:NEAREST]
        chosen = candidates[int(share * len(candidates))]
        self.activity.pop(chosen)
        return self.neurons.pop(chosen)


def _matched(
    target: Target, members: Tensor, block_of: Tensor, by_activity: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Match each member to a free neuron; return members in the order of matching, and their neurons."""
    activity = target.mean_absolute.double().clamp_min(1e-12).log()
    if by_activity:
        # the most active members are matched first, since few neurons are as active
        order = activity[members].argsort(descending=True, stable=True)
    else:
        order = torch.randperm(len(members), generator=generator)
    pools = [_pool(target, block, activity) for block in target.layout.blocks]
    choosers, shares = members[order].tolist(), torch.rand(len(members), generator=generator).tolist()
    blocks, wanted = block_of.tolist(), activity.tolist()
    chosen: dict[int, int] = {}
    # members whose block has no free neuron left come second, so that they displace no other match
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
    """Nearest pool to a block among those that are not empty."""
    places = (place for place in range(len(pools)) if pools[place])
    return pools[min(places, key=lambda place: abs(place - block))]
