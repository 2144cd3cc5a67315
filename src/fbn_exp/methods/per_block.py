"""Separate decomposition of every block: networks within blocks, in the layout of the whole model."""

import logging
from collections import defaultdict
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.moments import neuron_statistics
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.order import OrderCurve
from fbn_exp.methods.solvers.convergence import Convergence
from fbn_exp.methods.subspace import RANK_TOLERANCE

log = logging.getLogger(__name__)


class PerBlock(Decomposition):
    """Another method, applied to the neurons of every block separately.

    A layout of B blocks gives K × B networks. A map is 0 outside its block. Networks of all blocks are
    ordered together, by their share of the variance of the whole model's signals. A block whose neurons
    are constant has no networks, and a warning names it.

    Parameters
    ----------
    method : Decomposition
        Method applied to each block; its ``n_components`` is K.
    layout : NeuronLayout
        Layout with the blocks.

    Attributes
    ----------
    maps_, time_courses_, explained_variance_ratio_, explained_variance_
        As in ``Decomposition``, with K × B in place of K.
    metrics_ : dict of str to float
        Counts ``blocks_decomposed`` and ``blocks_silent``, and the method's metrics averaged over blocks.
    block_of_network_ : tuple of int, of length K × B
        Index of each network's block in the layout.
    """

    def __init__(self, method: Decomposition, layout: NeuronLayout) -> None:
        super().__init__(n_components=method.n_components, seed=method.seed, per_block=True)
        self.method = method
        self.layout = layout

    @override
    def resolved(self, signals: Tensor) -> Self:
        """Leave ``n_components=auto`` to every block."""
        return self

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        components: dict[int, Components] = {}
        metrics: dict[str, list[float]] = defaultdict(list)
        convergence: list[Convergence] = []
        orders: list[OrderCurve] = []
        statistics: dict[str, list[Tensor]] = defaultdict(list)
        silent = 0
        for index, block in enumerate(self.layout.blocks):
            block_signals = signals[:, block.columns]
            if _never_changes(block_signals):
                log.warning(
                    "the neurons of block %d (%s) never change: it has no networks", index, block.path
                )
                silent += 1
                continue
            components[index], method = self._decompose_block(block_signals, rows, generator, index, block)
            convergence += method.convergence_
            orders += method.orders_
            for name, value in method.metrics_.items():
                metrics[name].append(value)
            for name, values in method.statistics_.items():
                statistics[name].append(values)
        if not components:
            raise MethodError(
                f"signals of {len(signals):,} tokens never change in any block: rank 0; take more varied text"
            )
        self.convergence_, self.orders_ = tuple(convergence), tuple(orders)
        self.statistics_ = {name: torch.cat(values) for name, values in statistics.items()}
        self.metrics_ = {name: sum(values) / len(values) for name, values in metrics.items()}
        self.metrics_ |= {"blocks_decomposed": float(len(components)), "blocks_silent": float(silent)}
        return self._together(components)

    def _decompose_block(
        self, signals: Tensor, rows: Rows, generator: torch.Generator, index: int, block: Block
    ) -> tuple[Components, Decomposition]:
        try:
            method = self.method.resolved(signals)
            return method.decompose(signals, rows, generator), method
        except MethodError as error:
            raise MethodError(f"method.per_block, block {index} ({block.path}): {error}") from error

    def _together(self, components: dict[int, Components]) -> Components:
        """Combine the components of all blocks; maps are 0 outside their block."""
        counts = {index: len(block.maps) for index, block in components.items()}
        maps = torch.zeros(sum(counts.values()), self.layout.n_neurons)
        first = 0
        for index, block in components.items():
            maps[first : first + counts[index], self.layout.blocks[index].columns] = block.maps
            first += counts[index]
        self.block_of_network_ = tuple(index for index, count in counts.items() for _ in range(count))
        courses = torch.cat([block.time_courses for block in components.values()], dim=1)
        return Components(maps, courses, sum(block.total_energy for block in components.values()))

    @override
    def _arrange(self, order: Tensor) -> None:
        assert self.block_of_network_ is not None
        self.block_of_network_ = tuple(self.block_of_network_[place] for place in order.tolist())

    @override
    def _check(self, signals: Tensor) -> None:
        """Skip the check of the whole: every block is checked separately."""


def _never_changes(signals: Tensor) -> bool:
    """True if all variation is within float32 rounding error, by the rule for the rank of a subspace."""
    statistics = neuron_statistics(signals)
    change = float(statistics.standard_deviation.square().sum()) ** 0.5
    size = (change**2 + float(statistics.mean.square().sum())) ** 0.5
    return change <= RANK_TOLERANCE * size
