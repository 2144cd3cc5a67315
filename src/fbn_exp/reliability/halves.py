"""Split-half reliability of a single fit: agreement of each network between halves of the texts."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.reliability.base import Reliability
from fbn_exp.reliability.config import SplitHalvesConfig
from fbn_exp.reliability.runs import SEEDS, fits_of
from fbn_exp.reliability.split_half import compare_halves
from fbn_exp.reliability.wrapped import Wrapped
from fbn_exp.thresholds.base import Threshold


class SplitHalves(SplitHalvesConfig, Reliability):
    """Fits of all texts and of their halves."""

    uses_threshold = True

    @override
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        # a localizer compares halves of its texts itself
        return method if method.compared_labels else Halved(method, self, threshold)


class Halved(Wrapped[SplitHalves]):
    """Networks of one fit to all texts, with their agreement between halves; see ``compare_halves``."""

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
