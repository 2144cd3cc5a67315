"""Split-half reliability of a single fit: agreement of each network between halves of the texts."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.reliability.base import Reliability
from fbn_exp.reliability.config import SplitHalvesConfig
from fbn_exp.reliability.runs import SEEDS, fits_of
from fbn_exp.reliability.split_half import compare_halves
from fbn_exp.thresholds.base import Threshold


class SplitHalves(SplitHalvesConfig, Reliability):
    """Fits of all texts and of their halves."""

    uses_threshold = True

    @override
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        # a localizer compares halves of its texts itself
        return method if method.compared_labels else Halved(method, self, threshold)


class Halved(Decomposition):
    """Networks of one fit to all texts, with their agreement between halves; see ``compare_halves``.

    Parameters
    ----------
    method : Decomposition
        Method to fit; neither fitted nor changed.
    plan : SplitHalves
        Number of splits and rotations.
    threshold : Threshold
        Rule of membership.
    layout : NeuronLayout, optional
        Blocks of the neurons, for the threshold.
    """

    def __init__(
        self,
        method: Decomposition,
        plan: SplitHalves,
        threshold: Threshold,
        layout: NeuronLayout | None = None,
    ) -> None:
        super().__init__(n_components=method.n_components, seed=method.seed)
        self.method = method
        self.plan = plan
        self.threshold = threshold
        self.layout = layout

    @override
    def over(self, layout: NeuronLayout) -> "Halved":
        return Halved(self.method, self.plan, self.threshold, layout)

    @override
    def resolved(self, signals: Tensor) -> Self:
        method = self.method.resolved(signals)
        if method is self.method:
            return self
        resolved = type(self)(method, self.plan, self.threshold, self.layout)
        resolved.orders_ = method.orders_
        return resolved

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        if len(rows.present) < 2:
            raise MethodError(
                "reliability=split_half divides the texts, there is one: take more (dataset.n_texts), or "
                "reliability=none"
            )
        fits = fits_of(self.method, signals, rows, generator)
        run = fits.run(self.method, None, int(torch.randint(SEEDS, (1,), generator=generator)))
        self._together = fits.explained(run.courses)
        plan = self.plan
        halves = compare_halves(fits, run.maps, self._members, plan.splits, plan.rotations, generator)
        self.statistics_ = halves.statistics()
        self.metrics_ = {**halves.metrics(), "converged": float(run.converged)}
        return Components(run.maps, run.courses, fits.total_energy)

    @property
    def _members(self) -> Callable[[Tensor], Tensor]:
        return lambda maps: self.threshold.masks(maps, self.layout)

    @override
    def _learn(self, components: Components) -> None:
        super()._learn(components)
        self.explained_variance_ = self._together

    @override
    def signs(self, maps: Tensor) -> Tensor:
        return self.method.signs(maps)
