"""Random networks to compare with: as large, in the same blocks, as active; never the own neurons."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.config.choices import ControlKind
from fbn_exp.errors import NetworksError
from fbn_exp.targets import OUTSIDE, Target

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
    """

    target: Target
    same_block: float


def draw_controls(target: Target, repeats: int, seed: int) -> dict[ControlKind, list[Control]]:
    """Controls of every kind.

    ``random``: anywhere in the layout. ``per_block``: for each neuron one in its block. ``activation``:
    for each neuron one in its block with a mean |activation| among the nearest ones. Where the networks
    hold more than half of a block, its free neurons do not suffice, and the nearest block with a free
    neuron stands in; ``same_block`` tells how often.

    Parameters
    ----------
    target : Target
        The neurons to match; none of them is drawn.
    repeats : int
        Draws of each kind; more of them extend the list.
    seed : int
        Each kind has a generator of its own.

    Returns
    -------
    dict of ControlKind to list of Control
        Empty if the networks hold more than half of all neurons: then no control exists.
    """
    if 2 * target.size > target.layout.n_neurons:
        return {}
    drawn = {}
    for place, kind in enumerate(ControlKind):
        generator = torch.Generator().manual_seed(len(ControlKind) * seed + place)
        drawn[kind] = [_draw(target, kind, generator) for _ in range(repeats)]
    return drawn


def _draw(target: Target, kind: ControlKind, generator: torch.Generator) -> Control:
    members = target.members.nonzero()[:, 0]
    block_of = _block_of(target)
    if kind is ControlKind.random:
        free = (~target.members).nonzero()[:, 0]
        chosen = free[torch.randperm(len(free), generator=generator)[: len(members)]]
    else:
        members, chosen = _matched(target, members, block_of, kind is ControlKind.activation, generator)
    labels = torch.full_like(target.labels, OUTSIDE)
    labels[chosen] = target.labels[members]
    same = float((block_of[chosen] == block_of[members]).double().mean())
    return Control(target.with_labels(labels), same)


def _block_of(target: Target) -> Tensor:
    widths = torch.tensor([block.width for block in target.layout.blocks])
    return torch.arange(len(widths)).repeat_interleave(widths)


def _matched(
    target: Target, members: Tensor, block_of: Tensor, by_activity: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Members in the order in which they chose, and the neuron that each of them chose."""
    activity = target.mean_absolute.double().clamp_min(1e-12).log()
    # the hardest to match choose first: few neurons are as active as they
    order = activity[members].argsort(descending=True) if by_activity else _shuffled(len(members), generator)
    members = members[order]
    free = ~target.members
    chosen = torch.empty_like(members)
    for place, member in enumerate(members):
        candidates = _nearest_free(target, free, int(block_of[member]))
        if by_activity:
            distance = (activity[candidates] - activity[member]).abs()
            candidates = candidates[distance.argsort(stable=True)[:NEAREST]]
        pick = candidates[torch.randint(len(candidates), (1,), generator=generator)]
        free[pick] = False
        chosen[place] = pick
    return members, chosen


def _shuffled(count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=generator)


def _nearest_free(target: Target, free: Tensor, block: int) -> Tensor:
    """Free neurons of a block, or of the nearest block that has any."""
    blocks = target.layout.blocks
    for near in sorted(range(len(blocks)), key=lambda each: abs(each - block)):
        columns = blocks[near].columns
        found = free[columns].nonzero()[:, 0]
        if len(found):
            return found + columns.start
    raise NetworksError("no free neuron is left for a control")
