"""Choice of the neurons that are pruned: those of least importance, as many as the ratio says."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.core.errors import PruningError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.pruning.config import Allocation, PruningConfig

# blocks that the paper leaves as they are, first and last, of a model of 32 blocks
PAPER_SPARED, PAPER_DEPTH = (3, 2), 32


@dataclass(frozen=True, eq=False)
class Selection:
    """Neurons that are pruned.

    Attributes
    ----------
    layout : NeuronLayout
        Hidden neurons of the model.
    pruned : Tensor of shape (N,), bool
        True at pruned neurons.
    thresholds : tuple of float or None
        For each block, the largest importance among its pruned neurons: those above it are kept. None where
        none is pruned.
    spared : tuple of int
        Indices of the blocks that are left as they are.
    """

    layout: NeuronLayout
    pruned: Tensor
    thresholds: tuple[float | None, ...]
    spared: tuple[int, ...]

    @property
    def widths(self) -> list[int]:
        """Number of neurons that are left in each block."""
        return [int((~self.pruned[block.columns]).sum()) for block in self.layout.blocks]

    @property
    def ratio(self) -> float:
        """Share of all neurons that is pruned."""
        return float(self.pruned.double().mean())


def spared_blocks(n_blocks: int, first: int | None, last: int | None) -> tuple[int, ...]:
    """Indices of the first and last blocks that are left as they are.

    Parameters
    ----------
    n_blocks : int
        Depth of the model.
    first, last : int or None
        Their numbers; None takes the paper's, in proportion to the depth.

    Raises
    ------
    PruningError
        If no block is left to prune.
    """
    scaled = (round(count * n_blocks / PAPER_DEPTH) for count in PAPER_SPARED)
    first, last = (
        default if given is None else given for given, default in zip((first, last), scaled, strict=True)
    )
    if first + last >= n_blocks:
        raise PruningError(
            f"prune.spared_first={first} and prune.spared_last={last} leave none of {n_blocks} blocks"
        )
    return (*range(first), *range(n_blocks - last, n_blocks))


def select(
    importance: Tensor, layout: NeuronLayout, spared: tuple[int, ...], config: PruningConfig
) -> Selection:
    """Prune the neurons of least importance; of equal ones those that come first.

    Parameters
    ----------
    importance : Tensor of shape (N,), float64
        Importance of every neuron.
    layout : NeuronLayout
        Layout of the neurons.
    spared : tuple of int
        Indices of blocks that are left as they are.
    config : PruningConfig
        Ratio and its division among blocks.

    Raises
    ------
    PruningError
        If the blocks that may be pruned have too few neurons.
    """
    pruned = torch.zeros(layout.n_neurons, dtype=torch.bool)
    for columns, count in _shares(importance, layout, spared, config):
        order = importance[columns].sort(stable=True).indices
        pruned[columns[order[:count]]] = True
    thresholds = []
    for block in layout.blocks:
        left_out = importance[block.columns][pruned[block.columns]]
        thresholds.append(float(left_out.max()) if len(left_out) else None)
    return Selection(layout, pruned, tuple(thresholds), spared)


def _shares(
    importance: Tensor, layout: NeuronLayout, spared: tuple[int, ...], config: PruningConfig
) -> list[tuple[Tensor, int]]:
    """Columns among which neurons compete, and how many of them are pruned."""
    blocks = [block for index, block in enumerate(layout.blocks) if index not in spared]
    available = sum(block.width for block in blocks)
    wanted = round(config.ratio * layout.n_neurons)
    # of every block the best neuron stays, since no architecture has a hidden layer of none
    if wanted > available - len(blocks):
        raise PruningError(
            f"prune.ratio is {config.ratio}: {wanted:,} of {layout.n_neurons:,} neurons, and the "
            f"{len(blocks)} blocks that are not spared have {available:,}: spare fewer blocks, or prune less"
        )
    ranges = [torch.arange(block.offset, block.offset + block.width) for block in blocks]
    if config.allocation is Allocation.equal:
        share = wanted / available
        return [(columns, min(round(share * len(columns)), len(columns) - 1)) for columns in ranges]
    rivals = [columns[columns != columns[importance[columns].argmax()]] for columns in ranges]
    return [(torch.cat(rivals), wanted)]
